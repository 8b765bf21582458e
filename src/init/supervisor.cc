// The life of services: how they start and become ready, and the loop.
#include "init/supervisor.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "init/control.h"
#include "init/tags.h"

namespace slip::init {
namespace {

constexpr uint64_t kFirstAskMs = 2;  // between two probes, doubled up to
constexpr uint64_t kSlowestAskMs = 250;

}  // namespace

const char* state_name(State state) {
  constexpr const char* kNames[] = {"waiting",  "starting", "running", "ready", "backoff",
                                    "stopping", "stopped",  "skipped", "ended", "failed"};
  return kNames[static_cast<unsigned>(state)];
}

bool is_active(State state) {
  return state == State::Starting || state == State::Running || state == State::Ready || state == State::Stopping;
}

uint64_t now_ms() {
  struct timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1'000'000;
}

int Supervisor::run(const Plan& plan) {
  if (!set_up(plan)) {
    const char text[] = "slipway-init: the kernel gives no epoll or signalfd\n";
    (void)!::write(2, text, sizeof text - 1);
    return kNoSystem;
  }
  if (command_ != nullptr && !start_command()) {
    return command_status_;
  }
  loop();
  return last_words();
}

bool Supervisor::set_up(const Plan& plan) {
  inherited_ = plan.inherited;
  command_ = plan.command;
  now_ = now_ms();
  if (::getpid() != 1) {
    ::prctl(PR_SET_CHILD_SUBREAPER, 1);
  }
  epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  streams_epoll_ = ::epoll_create1(EPOLL_CLOEXEC);
  const sigset_t all = every_signal();
  signals_ = ::signalfd(-1, &all, SFD_NONBLOCK | SFD_CLOEXEC);
  if (epoll_ < 0 || streams_epoll_ < 0 || signals_ < 0) {
    return false;
  }
  watch(signals_, tag_of(kSignals));
  watch(streams_epoll_, tag_of(kStreamsReady));
  if (plan.config == nullptr) {
    return true;
  }
  log_ = true;
  output_.open(command_ != nullptr ? 2 : 1);  // beside a command, stdout is the command's
  count_ = plan.config->count;
  for (unsigned i = 0; i < count_; ++i) {
    Unit& unit = units_[i];
    unit.service = &plan.config->services[i];
    unit.since = now_;
    rest_grace_ = most(rest_grace_, unit.service->stop.grace_ms);
    if (unit.service->ready.kind == Ready::Kind::Notify && unit.notify.open(unit.service->name)) {
      watch(unit.notify.fd(), tag_of(kNotify, i));
    }
  }
  if (plan.config->control != nullptr) {
    control_path_ = plan.config->control;
    control_ = open_control(control_path_);
    if (control_ >= 0) {
      watch(control_, tag_of(kControl));
    } else {
      event("no control socket", nullptr, nullptr, 0, strerror(errno));
    }
  }
  return true;
}

void Supervisor::watch(int fd, uint64_t tag) {
  struct epoll_event wanted{};
  wanted.events = EPOLLIN;
  wanted.data.u64 = tag;
  ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &wanted);
}

bool Supervisor::start_command() {
  // On a terminal it stays in the group that the terminal talks to, as if we were not there.
  command_group_ = ::isatty(0) == 0;
  const Child child = slip::init::start_command(command_, command_group_, inherited_);
  int error = child.error;
  if (child.pid > 0 && ::read(child.exec_fd, &error, sizeof error) == sizeof error) {
    int ignored = 0;
    ::waitpid(child.pid, &ignored, 0);
  }
  if (child.exec_fd >= 0) {
    ::close(child.exec_fd);
  }
  if (error == 0) {
    command_pid_ = child.pid;
    return true;
  }
  char text[512];
  Writer out(text, sizeof text);
  out.text("slipway-init: cannot run `").escaped(command_[0]).text("`: ").text(strerror(error)).text("\n");
  (void)!::write(2, out.written().data, out.written().size);
  command_status_ = error == ENOENT ? 127 : 126;
  return false;
}

bool Supervisor::is_ready(unsigned at) const {
  const State state = units_[at].state;
  return state == State::Ready || state == State::Skipped || (state == State::Done && !units_[at].ended_badly);
}

void Supervisor::start_due() {
  for (unsigned i = 0; i < count_ && phase_ == Phase::Run; ++i) {
    Unit& unit = units_[i];
    if (unit.state != State::Waiting) {
      continue;
    }
    bool all = true;
    for (unsigned before = 0; before < count_; ++before) {
      all = all && ((unit.service->after >> before & 1) == 0 || is_ready(before));
    }
    if (!all) {
      continue;
    }
    if (unit.service->when_file != nullptr && ::access(unit.service->when_file, F_OK) != 0) {
      set_state(unit, State::Skipped);
      event("skipped", &unit, nullptr, 0, "its when_file is not there");
      i = ~0u;  // those behind it may start now
      continue;
    }
    start(unit);
  }
}

void Supervisor::start(Unit& unit) {
  unit.killed = false;
  unit.again = false;
  unit.asked = 0;
  unit.due = 0;
  const Child child = start_service(*unit.service, unit.notify.variable(), ::environ, inherited_);
  if (child.pid < 0) {
    event("not started", &unit, nullptr, 0, strerror(child.error));
    restart_or_give_up(unit, true);
    return;
  }
  unit.pid = child.pid;
  unit.exec_fd = child.exec_fd;
  unit.launched = now_;
  set_state(unit, State::Starting);
  watch(child.exec_fd, tag_of(kExec, static_cast<uint64_t>(&unit - units_)));
  add_stream(child.out, unit.service->name, "stdout");
  add_stream(child.err, unit.service->name, "stderr");
  event("started", &unit, "pid", static_cast<uint64_t>(child.pid));
}

void Supervisor::program_runs(Unit& unit) {
  if (unit.exec_fd < 0) {
    return;
  }
  int error = 0;
  const bool failed = ::read(unit.exec_fd, &error, sizeof error) == sizeof error;
  ::close(unit.exec_fd);
  unit.exec_fd = -1;
  if (failed) {
    event("not started", &unit, nullptr, 0, strerror(error));
    return;  // its end is on the way
  }
  if (unit.state == State::Starting) {
    set_state(unit, State::Running);
    if (unit.service->ready.kind == Ready::Kind::Started) {
      set_ready(unit);
    } else if (unit.service->ready.kind != Ready::Kind::Notify) {
      unit.due = now_ + kFirstAskMs;
    }
  }
}

void Supervisor::ask(Unit& unit) {
  if (unit.probe.ask(unit.service->ready)) {
    set_ready(unit);
    return;
  }
  const unsigned doubled = least(unit.asked++ / 4, 10u);
  unit.due = now_ + least(kFirstAskMs << doubled, kSlowestAskMs);
}

void Supervisor::set_state(Unit& unit, State state) {
  unit.state = state;
  unit.since = now_;
}

void Supervisor::set_ready(Unit& unit) {
  const uint64_t took = now_ - unit.launched;
  set_state(unit, State::Ready);
  unit.due = 0;
  unit.probe.reset();
  event("ready", &unit, "after_ms", took);
  start_due();
}

int Supervisor::timeout() const {
  uint64_t next = ~uint64_t{0};
  for (unsigned i = 0; i < count_; ++i) {
    next = units_[i].due != 0 ? least(next, units_[i].due) : next;
  }
  if (phase_ == Phase::StopRest) {
    next = least(next, rest_due_);
  }
  if (paused_ != 0) {
    next = least(next, paused_ + kPatienceMs);
  }
  return next == ~uint64_t{0} ? -1 : next <= now_ ? 0 : static_cast<int>(least<uint64_t>(next - now_, 60'000));
}

void Supervisor::tick_unit(Unit& unit) {
  if (unit.due == 0 || unit.due > now_) {
    return;
  }
  unit.due = 0;
  if (unit.state == State::Backoff) {
    start(unit);
  } else if (unit.state == State::Running) {
    ask(unit);
  } else if (unit.state == State::Stopping && !unit.killed) {
    unit.killed = true;
    event("killed", &unit, "after_ms", unit.service->stop.grace_ms);
    ::kill(unit.pid, SIGKILL);
  }
}

void Supervisor::tick() {
  for (unsigned i = 0; i < count_; ++i) {
    if (phase_ == Phase::Run || units_[i].state == State::Stopping) {
      tick_unit(units_[i]);
    }
  }
  if (paused_ != 0 && now_ - paused_ >= kPatienceMs) {
    dropping_ = true;
  }
  if (phase_ == Phase::Run && command_pid_ <= 0) {
    bool any = false;
    bool badly = false;
    for (unsigned i = 0; i < count_; ++i) {
      const State state = units_[i].state;
      any = any || is_active(state) || state == State::Backoff || state == State::Held;
      badly = badly || state == State::Failed || (state == State::Done && units_[i].ended_badly);
    }
    if (!any) {
      begin_stop(badly ? kServiceFailed : kStopped, "every service has ended");
    }
  } else if (phase_ == Phase::StopServices) {
    stop_services();
  } else if (phase_ == Phase::StopRest && now_ >= rest_due_) {
    tick_rest();
  }
}

void Supervisor::loop() {
  start_due();
  while (phase_ != Phase::End) {
    tick();
    watch_output();
    if (phase_ == Phase::End) {
      break;
    }
    struct epoll_event events[32];
    const int got = ::epoll_wait(epoll_, events, 32, timeout());
    now_ = now_ms();
    for (int i = 0; i < got; ++i) {
      const uint64_t index = events[i].data.u64 & 0xffffffff;
      switch (static_cast<Tag>(events[i].data.u64 >> 32)) {
        case kSignals: take_signals(); break;
        case kStreamsReady: read_streams(); break;
        case kControl: serve_control(control_, *this); break;
        case kExec: program_runs(units_[index]); break;
        case kNotify:
          if (units_[index].notify.take() && units_[index].state == State::Running) {
            set_ready(units_[index]);
          }
          break;
        case kOutput: break;
      }
    }
  }
}

void Supervisor::take_signals() {
  struct signalfd_siginfo info{};
  while (::read(signals_, &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    const int signal = static_cast<int>(info.ssi_signo);
    if (signal == SIGCHLD) {
      reap();
    } else if (signal != SIGPIPE) {
      forward(signal, info.ssi_code == SI_KERNEL);
    }
  }
}

void Supervisor::forward(int signal, bool from_terminal) {
  if (command_pid_ > 0) {
    if (!command_group_ && from_terminal) {
      return;  // the terminal has told the whole group
    }
    ::kill(command_group_ ? -command_pid_ : command_pid_, signal);
    return;
  }
  const bool stops = signal == SIGTERM || signal == SIGINT || signal == SIGQUIT || signal == SIGPWR || signal == kHalt;
  if (stops) {
    begin_stop(kStopped, "told by SIG", signal == kHalt ? "RTMIN+3" : signal_name(signal));
    return;
  }
  if (signal == SIGHUP || signal == SIGUSR1 || signal == SIGUSR2) {
    for (unsigned i = 0; i < count_; ++i) {
      if (is_active(units_[i].state)) {
        ::kill(units_[i].pid, signal);
      }
    }
  }
}

}  // namespace slip::init
