#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

/// Resource limits of a process tree, with whatever of cgroup v1, v2 or both this host has.
namespace slip::os {

/// Where the controllers of this host are.
struct CgroupMounts {
  std::filesystem::path unified;                    ///< mount of v2; empty: none
  std::set<std::string> unified_controllers;        ///< what v2 can limit: "memory", "cpu", "pids"
  std::map<std::string, std::filesystem::path> v1;  ///< controller → mount
  /// "v2", "v1", "hybrid" or "none".
  [[nodiscard]] std::string layout() const;
};
/// @param mountinfo  text of /proc/self/mountinfo
/// @param prefix     put before every mount point (tests use a fake tree)
CgroupMounts find_cgroups(std::string_view mountinfo, const std::filesystem::path& prefix = {});

struct CgroupLimits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> cpus;
  std::optional<std::uint64_t> pids;
};

/// Moves `pid` into the groups of `target` (memory, cpu, pids, and the unified one) as far as this user may.
void join_cgroups(pid_t pid, pid_t target);

/// Folders of the groups called `name` that a process is in, in whatever hierarchy.
/// @param mountinfo  text of /proc/self/mountinfo
/// @param groups     text of the process's /proc/PID/cgroup
std::vector<std::string> groups_named(std::string_view mountinfo, std::string_view groups, std::string_view name);

/// Folders of the groups that a Cgroup of this name and these limits makes, where it may: for whoever remembers them
/// first, since a process that is killed leaves its groups.
std::vector<std::string> group_folders(const CgroupMounts& mounts, std::string_view self, std::string_view name,
                                       const CgroupLimits& limits);

/// Removes an empty group. Its last process may still be on its way out: waits for that a little.
void remove_group(const std::filesystem::path& folder);

/// One group of our own per controller that is needed; gone with the object, when nothing runs in it any more.
class Cgroup {
 public:
  /// Makes `name` below our own groups where that is allowed. What cannot be enforced is a sentence in unmet().
  /// @param self  text of /proc/self/cgroup
  Cgroup(const CgroupMounts& mounts, std::string_view self, std::string_view name, const CgroupLimits& limits);
  Cgroup(Cgroup&&) noexcept = default;
  Cgroup& operator=(Cgroup&&) = delete;
  Cgroup(const Cgroup&) = delete;
  Cgroup& operator=(const Cgroup&) = delete;
  ~Cgroup();

  /// Moves a process in. @throws Error Denied
  void add(pid_t pid) const;
  [[nodiscard]] const std::vector<std::string>& unmet() const noexcept { return unmet_; }
  /// Limits among "memory", "cpu", "pids" that hold.
  [[nodiscard]] const std::set<std::string>& enforced() const noexcept { return enforced_; }
  [[nodiscard]] const std::vector<std::filesystem::path>& folders() const noexcept { return folders_; }

 private:
  void apply(const CgroupMounts& mounts, std::string_view self, std::string_view name, const std::string& controller,
             const std::vector<std::pair<std::string, std::string>>& v2,
             const std::vector<std::pair<std::string, std::string>>& v1);

  std::vector<std::filesystem::path> folders_;
  std::set<std::string> enforced_;
  std::vector<std::string> unmet_;
};

}  // namespace slip::os
