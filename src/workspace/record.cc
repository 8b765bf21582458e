#include "workspace/record.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "image/model_image.h"
#include "image/plan.h"
#include "os/file.h"

namespace slip::workspace {
namespace {

using Json = nlohmann::json;

/// Where the outbound gateway listens inside.
template <class T>
Json or_null(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <class T>
std::optional<T> maybe(const Json& json, const char* key) {
  const auto at = json.find(key);
  return at == json.end() || at->is_null() ? std::nullopt : std::optional<T>(at->get<T>());
}

}  // namespace

std::string to_json(const Record& r) {
  Json mounts = Json::array();
  for (const launch::Mount& m : r.mounts) {
    mounts.push_back({{"source", m.source.string()}, {"target", m.target}, {"read_only", m.read_only}});
  }
  const Json json = {{"name", r.name},
                     {"image", r.image},
                     {"digest", r.digest},
                     {"root", r.root},
                     {"project", r.project.string()},
                     {"user", r.user},
                     {"env", r.env},
                     {"jupyter", r.jupyter},
                     {"model", r.model},
                     {"ssh", r.ssh},
                     {"ssh_keys", r.ssh_keys},
                     {"mounts", mounts},
                     {"limits",
                      {{"memory_bytes", or_null(r.limits.memory_bytes)},
                       {"cpus", or_null(r.limits.cpus)},
                       {"pids", or_null(r.limits.pids)},
                       {"shm_bytes", or_null(r.limits.shm_bytes)}}},
                     {"gpus", r.gpu.which},
                     {"cuda", r.gpu.cuda},
                     {"outbound", r.outbound},
                     {"runtime", r.runtime},
                     {"ports", r.ports}};
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Record parse_record(const std::string& text) {
  try {
    const Json json = Json::parse(text);
    Record r;
    r.name = json.at("name");
    r.image = json.at("image");
    r.digest = json.at("digest");
    r.root = json.at("root");
    r.project = json.at("project").get<std::string>();
    r.user = json.at("user");
    r.env = json.at("env");
    r.jupyter = json.at("jupyter");
    r.model = json.value("model", "");
    r.ssh = json.at("ssh");
    r.ssh_keys = json.at("ssh_keys").get<std::vector<std::string>>();
    for (const Json& m : json.at("mounts")) {
      r.mounts.push_back({m.at("source").get<std::string>(), m.at("target"), m.at("read_only")});
    }
    const Json& limits = json.at("limits");
    r.limits = {maybe<std::uint64_t>(limits, "memory_bytes"), maybe<double>(limits, "cpus"),
                maybe<std::uint64_t>(limits, "pids"), maybe<std::uint64_t>(limits, "shm_bytes")};
    r.gpu = {json.value("gpus", ""), json.value("cuda", "")};  // records of before there were GPUs have none
    r.outbound = json.at("outbound");
    r.runtime = json.value("runtime", "native");  // records of before there was a choice have none
    r.ports = json.at("ports").get<std::map<std::string, std::uint16_t>>();
    return r;
  } catch (const Json::exception&) {
    throw Error(ErrorKind::Corrupt, "the record of a workspace cannot be read");
  }
}

Folder folder_of(const os::HostDirs& dirs, const std::string& name) {
  const bool good = !name.empty() && name.size() <= 63 && name.front() != '.' && name.front() != '-' &&
                    name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789._-") == std::string::npos;
  if (!good) {
    throw Error(ErrorKind::Usage, "`{}` is not the name of a workspace: letters a–z, digits, `.`, `_` and `-`", name);
  }
  return {dirs.state / "workspaces" / name};
}

std::vector<std::string> workspace_names(const os::HostDirs& dirs) {
  std::vector<std::string> names;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(dirs.state / "workspaces", none)) {
    if (std::filesystem::exists(entry.path() / "workspace.json", none)) {
      names.push_back(entry.path().filename().string());
    }
  }
  std::sort(names.begin(), names.end());
  return names;
}

std::optional<Record> load_record(const Folder& folder) {
  const auto text = os::read_file_if_any(folder.record());
  return text ? std::optional(parse_record(*text)) : std::nullopt;
}

namespace {

/// A model image as it is: nothing kept, nothing writable but its own /run and /tmp, no way out.
launch::LaunchPlan plan_model(const Record& record, const Folder& folder, const std::filesystem::path& root) {
  launch::LaunchPlan plan;
  plan.name = record.name;
  plan.root = root;
  plan.argv = {image::kInitPath};
  plan.direct = true;
  plan.new_session = true;
  plan.env = record.env;
  plan.env["SLIPWAY_BIND"] = "127.0.0.1";
  plan.env["SLIPWAY_CONTROL"] = "/run/slipway/control";
  plan.uid = launch::InnerId{image::kModelUserId};
  plan.gid = launch::InnerId{image::kModelUserId};
  plan.hostname = record.name;
  plan.mounts = {{folder.run(), "/run/slipway", false}};
  plan.mounts.insert(plan.mounts.end(), record.mounts.begin(), record.mounts.end());
  plan.limits = record.limits;
  return plan;
}

}  // namespace

launch::LaunchPlan plan_up(const Record& record, const Folder& folder, const std::filesystem::path& root) {
  if (!record.model.empty()) {
    return plan_model(record, folder, root);
  }
  launch::LaunchPlan plan;
  plan.name = record.name;
  plan.root = root;
  plan.upper = folder.layers() / record.root / "upper";
  plan.work = folder.layers() / record.root / "work";
  plan.argv = {image::kInitPath};
  plan.direct = true;
  plan.new_session = true;
  plan.env = record.env;
  plan.home = "/home/" + record.user;
  plan.home_source = folder.home();
  plan.env["HOME"] = plan.home;
  plan.env["USER"] = record.user;
  plan.env["LOGNAME"] = record.user;
  plan.env["SHELL"] = "/bin/bash";
  plan.env["SLIPWAY_BIND"] = "127.0.0.1";
  plan.env["SLIPWAY_CONTROL"] = "/run/slipway/control";
  plan.env["SLIPWAY_WORKSPACE"] = record.name;
  if (record.outbound) {
    const std::string proxy = format("http://127.0.0.1:{}", kOutboundPort);
    for (const char* name : {"http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"}) {
      plan.env.emplace(name, proxy);
    }
    for (const char* name : {"no_proxy", "NO_PROXY"}) {
      plan.env.emplace(name, "localhost,127.0.0.1,::1");
    }
    plan.env.emplace("PIP_CONFIG_FILE", "/run/slipway/keys/pip.conf");
  }
  if (plan.env.contains("VIRTUAL_ENV")) {
    plan.writable = {image::kPrefix};
  }
  if (record.gpu.any()) {
    gpu::add_variables(plan.env);
  }
  plan.cwd = "/workspace";
  plan.uid = launch::InnerId{image::kUserId};
  plan.gid = launch::InnerId{image::kUserId};
  plan.hostname = record.name;
  plan.mounts = {{folder.run(), "/run/slipway", false}, {folder.keys(), "/run/slipway/keys", true}};
  plan.mounts.insert(plan.mounts.end(), record.mounts.begin(), record.mounts.end());
  plan.limits = record.limits;
  return plan;
}

}  // namespace slip::workspace
