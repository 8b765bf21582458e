#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "launch/plan.h"

/// OCI runtimes as another way to perform a launch plan: the native launcher's oracle, and a choice for those whose
/// policy names a runtime.
namespace slip::launch {

struct HostId;

enum class RuntimeKind : std::uint8_t {
  /// Its first process is root of the container's user namespace, so it needs a second id beside the one inside: root
  /// only.
  /// Enforces limits itself.
  Runc,
  /// Works with one id, for ordinary users too. Knows no mix of cgroup v1 and v2 and, as root of the host, would give
  /// our
  /// standard streams to the user inside: so it runs without its cgroups, in a user namespace, and limits are ours.
  Crun,
};

struct Runtime {
  RuntimeKind kind{};
  std::filesystem::path program;
};

/// The runtime of this name, looked up in PATH and where systems keep it; nullopt for "native".
/// @throws Error Usage for a name we do not know; NotFound when it is not installed; Unsupported when it cannot serve
/// this
///         user
std::optional<Runtime> find_runtime(const std::string& name);

/// The bundle's config.json as it would be on this host, for people. @throws Error as to_bundle()
std::string bundle_text(const LaunchPlan& plan, const Runtime& runtime, const HostId& id);

}  // namespace slip::launch
