#include "launch/bundle.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "launch/kernel_files.h"
#include "launch/refusals.h"

namespace slip::launch {
namespace {

using Json = nlohmann::json;
using Words = std::vector<std::string>;

Json file_system(const char* target, const char* type, Words options) {
  return {{"destination", target}, {"type", type}, {"source", type}, {"options", std::move(options)}};
}

/// A file system in memory that belongs to the user inside: a runtime mounts it as another id.
Json in_memory(const LaunchPlan& plan, const char* target, Words options) {
  options.push_back(format("uid={}", static_cast<std::uint32_t>(plan.uid)));
  options.push_back(format("gid={}", static_cast<std::uint32_t>(plan.gid)));
  return file_system(target, "tmpfs", std::move(options));
}

Json mounts_of(const LaunchPlan& plan, const BundleHost& host) {
  Json mounts = Json::array();
  mounts.push_back(file_system("/proc", "proc", {"nosuid", "nodev", "noexec"}));
  if (plan.network == Network::None) {
    mounts.push_back(file_system("/sys", "sysfs", {"nosuid", "nodev", "noexec", "ro"}));
  }
  mounts.push_back(in_memory(plan, "/dev", {"nosuid", "mode=755", "size=64k"}));
  mounts.push_back(
      file_system("/dev/pts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620"}));
  mounts.push_back(in_memory(plan, "/dev/shm", {"nosuid", "nodev", "mode=1777", format("size={}", host.shm_bytes)}));
  mounts.push_back(in_memory(plan, "/tmp", {"nosuid", "nodev", "mode=1777"}));
  if (!plan.writable_root) {
    mounts.push_back(in_memory(plan, "/var/tmp", {"nosuid", "nodev", "mode=1777"}));
  }
  mounts.push_back(in_memory(plan, "/run", {"nosuid", "nodev", "mode=755"}));
  mounts.push_back(in_memory(plan, "/run/lock", {"nosuid", "nodev", "mode=1777"}));
  const std::vector<BundlePlace> places = bundle_places(plan);
  for (std::size_t i = 0; i < places.size(); ++i) {
    Words options = {"rbind", "nosuid", "nodev"};
    if (places[i].read_only) {
      options.emplace_back("ro");
    }
    mounts.push_back({{"destination", places[i].target},
                      {"type", "bind"},
                      {"source", bundle_source(host.base, i)},
                      {"options", options}});
  }
  return mounts;
}

Json process_of(const LaunchPlan& plan, const BundleHost& host) {
  constexpr int kUmask = 022;
  Json env = Json::array();
  for (const auto& [name, value] : plan.env) {
    env.push_back(name + "=" + value);
  }
  Json limits = Json::array();
  const auto limit = [&](const char* type, std::uint64_t soft, std::uint64_t hard) {
    limits.push_back({{"type", type}, {"soft", soft}, {"hard", hard}});
  };
  limit("RLIMIT_CORE", 0, 0);
  if (host.open_files_hard != 0) {
    limit("RLIMIT_NOFILE", host.open_files_soft, host.open_files_hard);
  }
  if (host.max_processes != 0) {
    limit("RLIMIT_NPROC", host.max_processes, host.max_processes);
  }
  Json none;
  for (const char* set : {"bounding", "effective", "inheritable", "permitted", "ambient"}) {
    none[set] = Json::array();
  }
  return {{"terminal", host.terminal},
          {"user",
           {{"uid", static_cast<std::uint32_t>(plan.uid)},
            {"gid", static_cast<std::uint32_t>(plan.gid)},
            {"umask", kUmask}}},
          {"args", plan.argv},
          {"env", std::move(env)},
          {"cwd", plan.cwd},
          {"capabilities", std::move(none)},
          {"rlimits", std::move(limits)},
          {"noNewPrivileges", true}};
}

Json ids_of(const std::vector<os::IdMap>& maps) {
  Json ids = Json::array();
  for (const os::IdMap& map : maps) {
    ids.push_back({{"containerID", map.inside}, {"hostID", map.outside}, {"size", 1}});
  }
  return ids;
}

Json resources_of(const Limits& limits, bool unified) {
  Json resources = Json::object();
  if (limits.memory_bytes) {
    resources["memory"]["limit"] = *limits.memory_bytes;
    if (unified) {
      resources["memory"]["swap"] = *limits.memory_bytes;  // memory and swap together
    }
  }
  if (limits.cpus) {
    constexpr int kPeriod = 100'000;  // µs
    resources["cpu"] = {{"quota", std::llround(std::max(*limits.cpus, 0.01) * kPeriod)}, {"period", kPeriod}};
  }
  if (limits.pids) {
    resources["pids"]["limit"] = *limits.pids;
  }
  return resources;
}

/// The deny list, as far as calls have names; inherited_filter() has the others.
Json seccomp_of(bool refuse_set_id) {
  Json calls = Json::array();
  for (const Refusal& refusal : workspace_refusals(refuse_set_id)) {
    if (refusal.number >= 0) {
      continue;
    }
    Json call = {{"names", {refusal.name}}, {"action", "SCMP_ACT_ERRNO"}, {"errnoRet", refusal.err}};
    for (const Condition& c : refusal.conditions) {
      call["args"].push_back(
          {{"index", c.argument}, {"op", "SCMP_CMP_MASKED_EQ"}, {"value", c.mask}, {"valueTwo", c.value}});
    }
    calls.push_back(std::move(call));
  }
  return {{"defaultAction", "SCMP_ACT_ALLOW"}, {"syscalls", std::move(calls)}};
}

Json linux_of(const LaunchPlan& plan, const BundleHost& host) {
  Json namespaces = Json::array();
  for (const char* type : {"user", "mount", "pid", "ipc", "uts", "cgroup"}) {
    namespaces.push_back({{"type", type}});
  }
  if (plan.network == Network::None) {
    namespaces.push_back({{"type", "network"}});
  }
  Json linux = {{"namespaces", std::move(namespaces)}, {"uidMappings", ids_of(host.uids)},
                {"gidMappings", ids_of(host.gids)},    {"maskedPaths", kMaskedFiles},
                {"readonlyPaths", kFrozenFiles},       {"seccomp", seccomp_of(host.refuse_set_id)}};
  if (host.limits) {
    linux["resources"] = resources_of(plan.limits, host.unified);
  }
  if (!host.cgroup.empty()) {
    linux["cgroupsPath"] = host.cgroup;
  }
  return linux;
}

}  // namespace

std::string bundle_source(const std::string& base, std::size_t n) { return format("{}/mounts/{}", base, n); }

std::string bundle_root(const std::string& base) { return base + "/root"; }

std::vector<BundlePlace> bundle_places(const LaunchPlan& plan) {
  std::vector<BundlePlace> places;
  if (!plan.home.empty() && plan.home_source.empty()) {
    places.push_back({plan.home, false, {}});
  }
  for (const std::string& folder : plan.writable) {
    places.push_back({folder, false, {}});
  }
  const auto binds = static_cast<std::ptrdiff_t>(places.size());
  if (!plan.home.empty() && !plan.home_source.empty()) {
    places.push_back({plan.home, false, plan.home_source});
  }
  for (const Mount& m : plan.mounts) {
    places.push_back({m.target, m.read_only, m.source});
  }
  std::stable_sort(places.begin() + binds, places.end(),
                   [](const BundlePlace& a, const BundlePlace& b) { return a.target < b.target; });
  return places;
}

std::string to_bundle(const LaunchPlan& plan, const BundleHost& host) {
  if (plan.filter == Filter::Build) {
    throw Error(ErrorKind::Unsupported,
                "a build step needs slipway's own launcher, which answers for the owners of files");
  }
  if (!plan.host_files.empty()) {
    throw Error(ErrorKind::Unsupported, "device nodes of the host need slipway's own launcher")
        .add_hint("leave `--runtime` out, or `--gpus none`");
  }
  Json notes = Json::object();
  const std::vector<BundlePlace> places = bundle_places(plan);
  for (std::size_t i = 0; i < places.size(); ++i) {
    notes["dev.slipway.source." + bundle_source(host.base, i)] =
        places[i].source.empty() ? "the image's " + places[i].target : places[i].source.string();
  }
  notes["dev.slipway.source." + bundle_root(host.base)] = plan.root.string();
  const Json config = {{"ociVersion", "1.0.2"},
                       {"process", process_of(plan, host)},
                       {"root", {{"path", bundle_root(host.base)}, {"readonly", !plan.writable_root}}},
                       {"hostname", plan.hostname},
                       {"mounts", mounts_of(plan, host)},
                       {"annotations", std::move(notes)},
                       {"linux", linux_of(plan, host)}};
  try {
    return config.dump(2) + "\n";
  } catch (const Json::type_error&) {
    throw Error(ErrorKind::Unsupported,
                "an OCI bundle is JSON: the command, its variables and paths must be UTF-8 to be run by a runtime");
  }
}

}  // namespace slip::launch
