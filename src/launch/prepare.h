#pragma once

#include <vector>

#include "launch/child.h"
#include "launch/setup.h"

/// From a plan to what the child walks: the parent's half of the launcher.
namespace slip::launch {

/// A Setup with the descriptors it refers to.
struct Prepared {
  Setup setup;
  std::vector<os::Fd> held;  ///< closed in the parent once the child has its copy
  std::vector<std::string> unmet;
};

/// Checks the plan and opens, copies and idmaps what the child could not as the user it becomes. go, report and status
/// are left to the caller. @throws Error Invalid, NotFound
Prepared prepare(const LaunchPlan& plan, const ChildOptions& options);

/// Size of /dev/shm in bytes: as asked, or half of the memory, at most its limit.
std::uint64_t shm_size(const Limits& limits);

/// The error for what the child reported or for a clone that failed, with its hint.
Error launch_error(const LaunchPlan& plan, const Record& record);
Error clone_error(int err);

/// The same for a command that joins a running tree: what is left to set up is the command itself.
Prepared prepare_entered(const LaunchPlan& plan, const ChildOptions& options);

}  // namespace slip::launch
