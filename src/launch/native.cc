#include "launch/native.h"

#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <array>

#include "launch/child.h"
#include "launch/terminal.h"

namespace slip::launch {
namespace {

/// Signals of the caller's, read from a descriptor instead of ending us while the command runs.
class CaughtSignals {
 public:
  CaughtSignals() {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH}) {
      ::sigaddset(&wanted, signal);
    }
    ::pthread_sigmask(SIG_BLOCK, &wanted, &before_);
    fd_ = os::Fd(::signalfd(-1, &wanted, SFD_CLOEXEC));
  }
  CaughtSignals(const CaughtSignals&) = delete;
  CaughtSignals& operator=(const CaughtSignals&) = delete;
  ~CaughtSignals() {
    // What arrived in the last moment was meant for the command, which is gone.
    fd_.reset();
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  [[nodiscard]] const os::Fd& fd() const noexcept { return fd_; }

 private:
  sigset_t before_{};
  os::Fd fd_;
};

void pass_signals_on(RunningChild& child, const os::Fd& signals, bool shares_terminal) {
  while (true) {
    std::array<pollfd, 2> polled{pollfd{child.pidfd().get(), POLLIN, 0}, pollfd{signals.get(), POLLIN, 0}};
    os::call(::poll, polled.data(), nfds_t{polled.size()}, -1).or_throw("wait for the workspace");
    if (polled[0].revents != 0) {
      return;
    }
    signalfd_siginfo info{};
    if (os::call(::read, signals.get(), &info, sizeof info).value != sizeof info) {
      continue;
    }
    // A key such as Ctrl-C has gone to the whole foreground group already, the command included.
    const bool typed = shares_terminal && info.ssi_code == SI_KERNEL;
    if (!typed && info.ssi_signo != SIGWINCH) {
      child.kill(static_cast<int>(info.ssi_signo));
    }
  }
}

}  // namespace

HostId host_id(std::uint32_t root_host_id) {
  if (::geteuid() == 0) {
    return {OuterId{root_host_id}, OuterId{root_host_id}};
  }
  return {OuterId{::geteuid()}, OuterId{::getegid()}};
}

namespace {

template <class Start>
LaunchResult attend(const LaunchPlan& plan, const HostId& id, const Stdio& stdio, Events& events, Start start,
                    const std::optional<Runtime>& runtime = std::nullopt) {
  ChildOptions options;
  options.runtime = runtime;
  options.id = id;
  options.stdio = stdio;
  options.terminal =
      !plan.new_session && stdio.in >= 0 && stdio.out >= 0 && ::isatty(stdio.in) == 1 && ::isatty(stdio.out) == 1;
  const CaughtSignals signals;
  RunningChild child = start(options);
  for (const std::string& sentence : child.unmet()) {
    events.warn("{}", sentence);
  }
  if (options.terminal) {
    join_terminal(child, stdio, signals.fd());
  }
  pass_signals_on(child, signals.fd(), !plan.new_session && !options.terminal && !runtime);
  LaunchResult result;
  result.unmet = child.unmet();
  result.status = child.wait();
  return result;
}

}  // namespace

LaunchResult run_native(const LaunchPlan& plan, const HostId& id, const Stdio& stdio, Events& events) {
  return with_context([&] { return format("start `{}`", plan.name); },
                      [&] {
                        return attend(plan, id, stdio, events,
                                      [&](const ChildOptions& options) { return RunningChild::start(plan, options); });
                      });
}

LaunchResult run_by_runtime(const Runtime& runtime, const LaunchPlan& plan, const HostId& id, const Stdio& stdio,
                            Events& events) {
  return with_context([&] { return format("start `{}`", plan.name); },
                      [&] {
                        return attend(
                            plan, id, stdio, events,
                            [&](const ChildOptions& options) { return RunningChild::start(plan, options); }, runtime);
                      });
}

LaunchResult exec_native(pid_t target, const LaunchPlan& plan, const HostId& id, const Stdio& stdio, Events& events) {
  return attend(plan, id, stdio, events,
                [&](const ChildOptions& options) { return RunningChild::enter(target, plan, options); });
}

}  // namespace slip::launch
