#pragma once

#include <optional>
#include <string>
#include <vector>

#include "launch/plan.h"
#include "os/mount.h"

/// A launch plan as the configuration of an OCI runtime: the second description of the same thing, which nobody writes
/// by hand. @source OCI runtime-spec 1.0.2, config.md and config-linux.md
namespace slip::launch {

/// What decides the configuration besides the plan: how the runtime is called and what this host is like.
struct BundleHost {
  std::string base = "/run";    ///< folder, as the runtime sees it, with the root file system and the mounts' sources
  std::vector<os::IdMap> uids;  ///< of the container's user namespace, seen from the runtime's
  std::vector<os::IdMap> gids;
  bool terminal = false;
  bool refuse_set_id = false;         ///< see workspace_filter()
  bool limits = true;                 ///< the runtime is to enforce plan.limits; false: somebody else does
  bool unified = false;               ///< cgroup v2, where a limit of memory does not hold for swap by itself
  std::string cgroup;                 ///< name of the group; empty: the runtime makes none
  std::uint64_t shm_bytes = 0;        ///< size of /dev/shm
  std::uint64_t max_processes = 0;    ///< RLIMIT_NPROC; 0: none
  std::uint64_t open_files_soft = 0;  ///< RLIMIT_NOFILE: runtimes written in Go would pass on one of their own
  std::uint64_t open_files_hard = 0;
};

/// The source of the nth thing that is mounted at a place of the plan's (see bundle_places()): "BASE/mounts/N".
std::string bundle_source(const std::string& base, std::size_t n);
/// The merged root, "BASE/root".
std::string bundle_root(const std::string& base);

/// Something of the plan that the caller puts at bundle_source(), for the runtime to mount.
struct BundlePlace {
  std::string target;  ///< absolute, inside
  bool read_only = false;
  /// On the host; empty: the folder `target` of the merged root itself, which stays writable under a read-only root.
  std::filesystem::path source;
};
/// In the order in which they are mounted: parents first.
std::vector<BundlePlace> bundle_places(const LaunchPlan& plan);

/// config.json. Pure. @throws Error Unsupported for Filter::Build, which needs a supervisor
std::string to_bundle(const LaunchPlan& plan, const BundleHost& host);

}  // namespace slip::launch
