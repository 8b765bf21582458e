#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "launch/plan.h"

/// Gives a launch plan GPUs of this machine: their device nodes and the loaded driver's own libraries, which are never
/// part of an image.
namespace slip::gpu {

/// Where the driver's files lie inside; /run is in memory, so that nothing of them stays behind.
inline constexpr const char* kLibraries = "/run/nvidia/lib";
inline constexpr const char* kPrograms = "/run/nvidia/bin";

/// Which GPUs a workspace or a run wants.
struct Request {
  std::string which;  ///< "all", or numbers and UUIDs separated by commas ("0,GPU-f5739083-…"); "none" or empty: none
  std::string cuda;   ///< version that the spec asks for, which the driver must be new enough for; empty: none
  [[nodiscard]] bool any() const noexcept { return !which.empty() && which != "none"; }
  bool operator==(const Request&) const = default;
};

/// The variables that make programs inside find the driver's files; once, however often it is asked. Pure.
void add_variables(std::map<std::string, std::string>& env);

/// Adds the files of the GPUs wanted to the plan, and the variables. Looks at the machine, so that a driver that was
/// updated meanwhile gives its new libraries.
/// @throws Error Unavailable: no driver, one that is too old, missing nodes or libraries; Denied: nodes that this user
///         may not open; NotFound: a GPU that is not there, with those that are; each with what to do
void give_gpus(launch::LaunchPlan& plan, const Request& request, const std::filesystem::path& root = "/");

}  // namespace slip::gpu
