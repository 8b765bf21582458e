#include "os/cgroup.h"

#include "os/file.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "core/text.h"
#include "os/file.h"

namespace slip::os {
namespace {

using Settings = std::vector<std::pair<std::string, std::string>>;

/// mountinfo writes blanks and backslashes of paths in octal.
std::string unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\\' && i + 3 < text.size()) {
      out += static_cast<char>((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 + (text[i + 3] - '0'));
      i += 3;
    } else {
      out += text[i];
    }
  }
  return out;
}

/// Our own group in the hierarchy that holds `controller` ("" for v2), out of /proc/self/cgroup.
std::string own_group(std::string_view self, std::string_view controller) {
  for (const std::string_view line : split(self, '\n')) {
    const auto first = line.find(':');
    const auto second = first == std::string_view::npos ? first : line.find(':', first + 1);
    if (second == std::string_view::npos) {
      continue;
    }
    const auto names = split(line.substr(first + 1, second - first - 1), ',');
    if (std::find(names.begin(), names.end(), controller) != names.end()) {
      return std::string(line.substr(second + 1));
    }
  }
  return "/";
}

SysRet write_setting(const std::filesystem::path& file, const std::string& text) {
  const SysRet opened = call([](const char* p) { return ::open(p, O_WRONLY | O_CLOEXEC); }, file.c_str());
  if (!opened) {
    return opened;
  }
  const Fd fd(static_cast<int>(opened.value));
  return call(::write, fd.get(), text.data(), text.size());
}

std::filesystem::path below(const std::filesystem::path& mount, const std::string& group) {
  return (mount / std::filesystem::path(group).relative_path()).lexically_normal();
}

/// Where our group of this controller lies; empty: this host has no such controller.
std::filesystem::path folder_for(const CgroupMounts& mounts, std::string_view self, std::string_view name,
                                 const std::string& controller) {
  const std::string leaf = format("slipway-{}", name);
  if (const auto at_v1 = mounts.v1.find(controller); at_v1 != mounts.v1.end()) {
    return below(at_v1->second, own_group(self, controller)) / leaf;
  }
  if (!mounts.unified_controllers.contains(controller)) {
    return {};
  }
  // v2 forbids processes beside child groups, so ours goes beside our own group (or below the top, which is exempt).
  return below(mounts.unified, std::filesystem::path(own_group(self, "")).parent_path().string()) / leaf;
}

}  // namespace

std::vector<std::string> group_folders(const CgroupMounts& mounts, std::string_view self, std::string_view name,
                                       const CgroupLimits& limits) {
  std::set<std::string> folders;
  for (const auto& [controller, wanted] :
       {std::pair{"memory", limits.memory_bytes.has_value()}, std::pair{"cpu", limits.cpus.has_value()},
        std::pair{"pids", limits.pids.has_value()}}) {
    const std::filesystem::path folder = wanted ? folder_for(mounts, self, name, controller) : "";
    if (!folder.empty()) {
      folders.insert(folder.string());
    }
  }
  return {folders.begin(), folders.end()};
}

std::string CgroupMounts::layout() const {
  const bool useful = std::any_of(unified_controllers.begin(), unified_controllers.end(),
                                  [](const std::string& c) { return c == "memory" || c == "cpu" || c == "pids"; });
  if (v1.empty()) {
    return unified.empty() ? "none" : "v2";
  }
  return unified.empty() ? "v1" : (useful ? "hybrid" : "v1");
}

CgroupMounts find_cgroups(std::string_view mountinfo, const std::filesystem::path& prefix) {
  CgroupMounts found;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto words = split_words(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4) {
      continue;
    }
    std::filesystem::path at = unescape(words[4]);
    if (!prefix.empty()) {
      at = prefix / at.relative_path();
    }
    if (dash[1] == "cgroup2" && found.unified.empty()) {
      found.unified = at;
      const std::string names = read_file_if_any(at / "cgroup.controllers", 4096).value_or("");
      for (const auto word : split_words(names)) {
        found.unified_controllers.emplace(word);
      }
    } else if (dash[1] == "cgroup") {
      for (const auto option : split(dash[3], ',')) {
        if (option == "memory" || option == "cpu" || option == "pids" || option == "cpuset" || option == "freezer") {
          found.v1.emplace(option, at);
        }
      }
    }
  }
  return found;
}

Cgroup::Cgroup(const CgroupMounts& mounts, std::string_view self, std::string_view name, const CgroupLimits& limits) {
  if (limits.memory_bytes) {
    const std::string bytes = format("{}", *limits.memory_bytes);
    // Swap would let the limit be passed twice over; hosts without swap accounting lack the file, which is fine.
    apply(mounts, self, name, "memory", {{"memory.max", bytes}, {"memory.swap.max?", "0"}},
          {{"memory.limit_in_bytes", bytes}});
  }
  if (limits.cpus) {
    const auto quota = static_cast<std::uint64_t>(std::llround(std::max(*limits.cpus, 0.01) * 100000));
    apply(mounts, self, name, "cpu", {{"cpu.max", format("{} 100000", quota)}},
          {{"cpu.cfs_period_us", "100000"}, {"cpu.cfs_quota_us", format("{}", quota)}});
  }
  if (limits.pids) {
    const std::string count = format("{}", *limits.pids);
    apply(mounts, self, name, "pids", {{"pids.max", count}}, {{"pids.max", count}});
  }
}

void Cgroup::apply(const CgroupMounts& mounts, std::string_view self, std::string_view name,
                   const std::string& controller, const Settings& v2, const Settings& v1) {
  const auto refuse = [&](const std::string& why) {
    unmet_.push_back(format("the {} limit is not enforced: {}", controller, why));
  };
  const std::filesystem::path folder = folder_for(mounts, self, name, controller);
  if (folder.empty()) {
    refuse(format("this host has no cgroup controller `{}`", controller));
    return;
  }
  const std::filesystem::path parent = folder.parent_path();
  const bool unified = !mounts.v1.contains(controller);
  if (unified) {
    (void)write_setting(parent / "cgroup.subtree_control", "+" + controller);
  }
  const SysRet made = call(::mkdir, folder.c_str(), mode_t{0755});
  if (!made && made.err != EEXIST) {
    refuse(made.err == EACCES || made.err == EPERM || made.err == EROFS
               ? format("this user may not make groups in `{}`", parent.string())
               : format("`{}`: {}", folder.string(), errno_text(made.err)));
    return;
  }
  if (std::find(folders_.begin(), folders_.end(), folder) == folders_.end()) {
    folders_.push_back(folder);
  }
  for (const auto& [file, text] : unified ? v2 : v1) {
    const bool optional = file.ends_with('?');
    const std::filesystem::path target = folder / (optional ? file.substr(0, file.size() - 1) : file);
    const SysRet r = write_setting(target, text);
    if (!r && !optional) {
      refuse(format("`{}`: {}", target.string(), errno_text(r.err)));
      return;
    }
  }
  enforced_.insert(controller);
}

void Cgroup::add(pid_t pid) const {
  for (const std::filesystem::path& folder : folders_) {
    const SysRet r = write_setting(folder / "cgroup.procs", format("{}", pid));
    if (!r) {
      throw sys_error(r.err, format("put a process into `{}`", folder.string()));
    }
  }
}

void remove_group(const std::filesystem::path& folder) {
  // A parent sees its child end a moment before the kernel lets go of the group.
  for (int i = 0; i < 200 && ::rmdir(folder.c_str()) != 0 && errno == EBUSY; ++i) {
    const timespec pause{0, 1000000};
    ::nanosleep(&pause, nullptr);
  }
}

Cgroup::~Cgroup() {
  for (const std::filesystem::path& folder : folders_) {
    remove_group(folder);
  }
}

std::vector<std::string> groups_named(std::string_view mountinfo, std::string_view groups, std::string_view name) {
  std::set<std::string> found;
  for (const std::string_view line : split(mountinfo, '\n')) {
    const auto words = split_words(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || words.end() - dash < 4 || (dash[1] != "cgroup" && dash[1] != "cgroup2")) {
      continue;
    }
    const std::vector<std::string_view> options =
        dash[1] == "cgroup2" ? std::vector<std::string_view>{""} : split(dash[3], ',');
    for (const std::string_view controller : options) {
      const std::string group = own_group(groups, controller);
      if (std::filesystem::path(group).filename() == name) {
        found.insert(below(unescape(words[4]), group).string());
      }
    }
  }
  return {found.begin(), found.end()};
}

void join_cgroups(pid_t pid, pid_t target) {
  const CgroupMounts mounts = find_cgroups(read_file("/proc/self/mountinfo"));
  const std::string theirs = read_file(format("/proc/{}/cgroup", target));
  const std::string ours = read_file("/proc/self/cgroup");
  const auto join = [&](const std::filesystem::path& mount, const std::string& controller) {
    const std::string group = own_group(theirs, controller);
    if (!mount.empty() && group != own_group(ours, controller)) {
      // A group that cannot be joined is one that limits nothing of ours: rootless groups are the user's own.
      (void)write_setting(below(mount, group) / "cgroup.procs", format("{}", pid));
    }
  };
  join(mounts.unified, "");
  for (const auto& [controller, mount] : mounts.v1) {
    join(mount, controller);
  }
}

}  // namespace slip::os
