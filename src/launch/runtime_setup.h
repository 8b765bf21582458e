#pragma once

#include <string>

#include "launch/child.h"
#include "launch/prepare.h"
#include "launch/runtime.h"
#include "launch/runtime_child.h"

/// From a plan to what the process around an OCI runtime walks: the parent's half.
namespace slip::launch {

/// @param prepared  of the same plan and options; its Setup moves into the result
/// @param group     name of the cgroup that the runtime is to make
RuntimeSetup prepare_runtime(const LaunchPlan& plan, const ChildOptions& options, Prepared& prepared,
                             const std::string& group);

/// What the runtime said, out of its log: the last error. Empty: nothing.
std::string last_words(const std::string& log);

/// The error for a container that the runtime could not make.
Error runtime_error(const LaunchPlan& plan, const Runtime& runtime, const std::string& log);

}  // namespace slip::launch
