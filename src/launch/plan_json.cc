#include <nlohmann/json.hpp>

#include "launch/plan.h"

namespace slip::launch {
namespace {

using nlohmann::json;

template <class T>
json or_null(const std::optional<T>& value) {
  return value ? json(*value) : json(nullptr);
}

json path_or_null(const std::filesystem::path& path) { return path.empty() ? json(nullptr) : json(path.string()); }

}  // namespace

std::string to_json(const LaunchPlan& plan) {
  json mounts = json::array();
  for (const Mount& m : plan.mounts) {
    mounts.push_back({{"source", m.source.string()}, {"target", m.target}, {"read_only", m.read_only}});
  }
  json host_files = json::array();
  for (const HostFile& file : plan.host_files) {
    host_files.push_back({{"source", file.source.string()}, {"target", file.target}, {"device", file.device}});
  }
  const json record = {
      {"name", plan.name},
      {"root", plan.root.string()},
      {"upper", path_or_null(plan.upper)},
      {"work", path_or_null(plan.work)},
      {"writable_root", plan.writable_root},
      {"writable", plan.writable},
      {"argv", plan.argv},
      {"env", plan.env},
      {"cwd", plan.cwd},
      {"uid", static_cast<std::uint32_t>(plan.uid)},
      {"gid", static_cast<std::uint32_t>(plan.gid)},
      {"home", plan.home.empty() ? json(nullptr) : json(plan.home)},
      {"home_source", path_or_null(plan.home_source)},
      {"hostname", plan.hostname},
      {"mounts", mounts},
      {"host_files", host_files},
      {"limits",
       {{"memory_bytes", or_null(plan.limits.memory_bytes)},
        {"cpus", or_null(plan.limits.cpus)},
        {"pids", or_null(plan.limits.pids)},
        {"shm_bytes", or_null(plan.limits.shm_bytes)}}},
      {"network", plan.network == Network::Host ? "host" : "none"},
      {"filter", plan.filter == Filter::Build ? "build" : "workspace"},
      {"new_session", plan.new_session},
      {"direct", plan.direct},
  };
  // Keys of json objects are sorted bytewise; text that is no UTF-8 must not make printing a plan fail.
  return record.dump(2, ' ', false, json::error_handler_t::replace) + "\n";
}

}  // namespace slip::launch
