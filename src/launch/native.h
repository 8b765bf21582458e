#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

#include "core/events.h"
#include "launch/plan.h"
#include "launch/runtime.h"
#include "os/process.h"

namespace slip::launch {

/// Where the launched process's standard streams go.
struct Stdio {
  int in = 0;  ///< descriptor inherited as stdin; -1: /dev/null
  int out = 1;
  int err = 2;
};

/// What became of a launch.
struct LaunchResult {
  os::ExitStatus status;
  std::vector<std::string> unmet;  ///< limits this host could not enforce, one sentence each
};

/// Host ids that stand behind the single id inside: the caller's own, or for root the dedicated id of config.
struct HostId {
  OuterId uid{};
  OuterId gid{};
};
/// The caller's ids; for root `root_host_id` (see config::Config).
HostId host_id(std::uint32_t root_host_id);

/// Performs the plan with namespaces of our own and waits for its end. Signals INT, TERM, HUP, QUIT that reach us
/// meanwhile are passed on; when we die, everything inside dies.
/// @throws Error Unsupported when user namespaces or overlays cannot be had (with the exact sysctl as hint)
///         NotFound when argv[0] is not in the image (with the nearest name)
LaunchResult run_native(const LaunchPlan& plan, const HostId& id, const Stdio& stdio, Events& events);

/// The same by an OCI runtime. The command is pid 1 inside: plans of plain commands should start with an init.
LaunchResult run_by_runtime(const Runtime& runtime, const LaunchPlan& plan, const HostId& id, const Stdio& stdio,
                            Events& events);

/// Runs plan.argv inside the running tree that `target` (a host pid) belongs to, as RunningChild::enter() does, with
/// signals and terminal as run_native(). @throws Error NotFound when argv[0] is not there
LaunchResult exec_native(pid_t target, const LaunchPlan& plan, const HostId& id, const Stdio& stdio, Events& events);

}  // namespace slip::launch
