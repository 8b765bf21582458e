// How services end, are started again, and are stopped; and what is done with the rest of the processes.
#include <signal.h>
#include <sys/random.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init/supervisor.h"

namespace slip::init {
namespace {

constexpr uint64_t kRestPollMs = 20;
constexpr uint64_t kAfterKillMs = 1'000;  // who sits in the kernel (state D) cannot be waited for

/// `ms`, give or take a fifth.
uint64_t with_jitter(uint64_t ms) {
  uint32_t random = 0;
  if (::getrandom(&random, sizeof random, GRND_NONBLOCK) != sizeof random) {
    return ms;
  }
  return ms - ms / 5 + (ms / 5 * 2) * (random >> 16) / 0x10000;
}

/// The shell's way to tell it in one number.
int status_of(const siginfo_t& info) {
  return info.si_code == CLD_EXITED ? info.si_status & 0xff : 128 + info.si_status;
}

}  // namespace

void Supervisor::reap() {
  for (;;) {
    siginfo_t info{};
    if (::waitid(P_ALL, 0, &info, WEXITED | WNOHANG) != 0 || info.si_pid == 0) {
      break;
    }
    if (info.si_pid == command_pid_) {
      command_ended(info);
      continue;
    }
    for (unsigned i = 0; i < count_; ++i) {
      if (units_[i].pid == info.si_pid) {
        ended(units_[i], info);
        break;
      }
    }
  }
  check_stopped();
}

/// A command that stopped itself on the terminal (Ctrl-Z): nobody above us could wake it, so it goes on at once; as
/// another process than PID 1 we stop too, and whoever started us sees that.
void Supervisor::check_stopped() {
  siginfo_t info{};
  if (command_pid_ <= 0 || command_group_ ||
      ::waitid(P_PID, static_cast<id_t>(command_pid_), &info, WSTOPPED | WNOHANG) != 0 || info.si_pid == 0) {
    return;
  }
  if (info.si_status == SIGTSTP || info.si_status == SIGTTIN || info.si_status == SIGTTOU) {
    if (::getpid() != 1) {
      ::kill(::getpid(), SIGSTOP);
    }
    ::kill(command_pid_, SIGCONT);
  }
}

void Supervisor::command_ended(const siginfo_t& info) {
  command_status_ = status_of(info);
  command_pid_ = -1;
  begin_stop(command_status_, "the command has ended");
}

void Supervisor::ended(Unit& unit, const siginfo_t& info) {
  program_runs(unit);
  read_streams();
  const bool exited = info.si_code == CLD_EXITED;
  event("ended", &unit, exited ? "status" : "signal", static_cast<uint64_t>(info.si_status),
        exited ? "" : signal_name(info.si_status));
  unit.pid = -1;
  unit.due = 0;
  unit.probe.reset();
  const bool stopping = unit.state == State::Stopping;
  const bool badly = !exited || info.si_status != 0;
  if (phase_ != Phase::Run) {
    set_state(unit, State::Done);
  } else if (stopping && unit.again) {
    set_state(unit, State::Waiting);
    start_due();
  } else if (stopping) {
    set_state(unit, State::Held);
  } else {
    restart_or_give_up(unit, badly);
  }
}

void Supervisor::restart_or_give_up(Unit& unit, bool badly) {
  const Restart& rule = unit.service->restart;
  unit.ended_badly = badly;
  if (rule.policy == Policy::Never || (rule.policy == Policy::OnFailure && !badly)) {
    set_state(unit, State::Done);
    if (badly && unit.service->critical) {
      set_state(unit, State::Failed);
      begin_stop(kGaveUp, "a critical service has failed: ", unit.service->name);
      return;
    }
    start_due();
    return;
  }
  unsigned within = 0;
  uint64_t last = 0;
  const unsigned kept = least(unit.restarts, kMaxRestarts);
  for (unsigned i = 0; i < kept; ++i) {
    within += now_ - unit.recent[i] < rule.window_ms ? 1 : 0;
    last = most(last, unit.recent[i]);
  }
  if (within >= rule.max) {
    set_state(unit, State::Failed);
    event("failed", &unit, "restarts", unit.restarts, "its restarts are spent");
    if (unit.service->critical) {
      begin_stop(kGaveUp, "a critical service has spent its restarts: ", unit.service->name);
    }
    return;
  }
  unit.row = within == 0 ? 0 : unit.row;
  uint64_t wait = rule.base_ms;
  for (unsigned i = 0; i < unit.row && wait < rule.cap_ms; ++i) {
    wait *= 2;
  }
  wait = with_jitter(least(wait, rule.cap_ms));
  ++unit.row;
  unit.recent[unit.restarts++ % kMaxRestarts] = now_;
  set_state(unit, State::Backoff);
  unit.due = now_ + most<uint64_t>(wait, 1);
  event("restarting", &unit, "in_ms", wait);
}

Unit* Supervisor::find(Text name) {
  for (unsigned i = 0; i < count_; ++i) {
    if (name == units_[i].service->name) {
      return &units_[i];
    }
  }
  return nullptr;
}

void Supervisor::order_stop(Unit& unit, bool again) {
  event(again ? "restart ordered" : "stop ordered", &unit);
  unit.row = 0;
  if (is_active(unit.state)) {
    unit.again = again;
    if (unit.state != State::Stopping) {
      send_stop(unit);
    }
    return;
  }
  unit.due = 0;
  set_state(unit, again ? State::Waiting : State::Held);
  start_due();
}

void Supervisor::order_start(Unit& unit) {
  if (!is_active(unit.state)) {
    order_stop(unit, true);
  } else if (unit.state == State::Stopping) {
    unit.again = true;
  }
}

void Supervisor::send_stop(Unit& unit) {
  set_state(unit, State::Stopping);
  unit.due = now_ + unit.service->stop.grace_ms;
  unit.killed = false;
  ::kill(unit.pid, unit.service->stop.signal);
  ::kill(unit.pid, SIGCONT);  // who is stopped hears it only then
}

void Supervisor::begin_stop(int status, const char* reason, Text detail) {
  if (phase_ != Phase::Run) {
    return;
  }
  status_ = status;
  Writer out(reason_, sizeof reason_ - 1);
  out.text(reason).text(detail);
  reason_[out.written().size] = '\0';
  phase_ = Phase::StopServices;
  event("stopping", nullptr, nullptr, 0, reason_);
  stop_services();
}

/// Those that nothing running waits for are told to stop; the others when those have ended.
void Supervisor::stop_services() {
  uint64_t needed = 0;
  unsigned active = 0;
  for (unsigned i = 0; i < count_; ++i) {
    if (is_active(units_[i].state)) {
      needed |= units_[i].service->after;
      ++active;
    }
  }
  for (unsigned i = 0; i < count_; ++i) {
    Unit& unit = units_[i];
    if (is_active(unit.state) && unit.state != State::Stopping && (needed >> i & 1) == 0) {
      send_stop(unit);
    }
  }
  if (active == 0) {
    begin_rest();  // a command that still runs beside them is of the rest
  }
}

/// What services left behind gets its signal and its grace too.
void Supervisor::begin_rest() {
  phase_ = Phase::StopRest;
  rest_since_ = now_;
  const unsigned found = signal_all(SIGTERM);
  signal_all(SIGCONT);
  if (found > 0) {
    event("stopping the rest", nullptr, "processes", found);
  }
  tick_rest();
}

void Supervisor::tick_rest() {
  siginfo_t info{};
  const bool children = ::waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
  if (!children && signal_all(0) == 0) {
    phase_ = Phase::End;
    return;
  }
  const uint64_t since = now_ - rest_since_;
  if (!rest_hung_up_ && since >= rest_grace_ / 2) {
    rest_hung_up_ = true;
    signal_all(SIGHUP);  // interactive shells end on nothing else
  }
  if (!rest_killed_ && since >= rest_grace_) {
    rest_killed_ = true;
    event("killing the rest", nullptr, "processes", signal_all(SIGKILL));
  }
  if (rest_killed_ && since >= rest_grace_ + kAfterKillMs) {
    phase_ = Phase::End;
  }
  rest_due_ = now_ + kRestPollMs;
}

}  // namespace slip::init
