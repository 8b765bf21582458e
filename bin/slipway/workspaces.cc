#include "workspaces.h"

#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "os/process.h"
#include "project.h"
#include "workspace/manage.h"

namespace slip::cli {
namespace {

using Json = nlohmann::json;

/// Of several workspaces of one project (variants, --name) the only one there is.
std::string name_here(const os::HostDirs& dirs) {
  const std::filesystem::path folder = open_project("", "").spec.folder;
  std::vector<std::string> found;
  for (const std::string& name : workspace::workspace_names(dirs)) {
    const auto record = workspace::load_record(workspace::folder_of(dirs, name));
    if (record && record->project == folder) {
      found.push_back(name);
    }
  }
  if (found.size() == 1) {
    return found[0];
  }
  if (found.empty()) {
    throw Error(ErrorKind::NotFound, "the project in `{}` has no workspace yet", folder.string())
        .add_hint("slipway up");
  }
  throw Error(ErrorKind::Usage, "the project in `{}` has {} workspaces: name one", folder.string(), found.size())
      .add_hint(join(found, ", "));
}

}  // namespace

workspace::Record find_workspace(const std::string& name) {
  const os::HostDirs dirs = os::host_dirs();
  return workspace::require_record(dirs, name.empty() ? name_here(dirs) : name);
}

std::vector<workspace::ServiceState> service_rows(const workspace::View& view) {
  std::vector<workspace::ServiceState> rows = view.services;
  if (!view.record.model.empty() && !rows.empty()) {
    rows.push_back(rows.front());
    rows[0].name = "rest";
    rows[1].name = "grpc";
  }
  return rows;
}

Json to_json(const workspace::View& view, const workspace::Folder& folder) {
  const workspace::Record& r = view.record;
  const auto port_of = [&](const std::string& service) {
    const auto at = r.ports.find(service);
    return at == r.ports.end() ? Json(nullptr) : Json(at->second);
  };
  Json services = Json::array();
  for (const workspace::ServiceState& s : service_rows(view)) {
    const std::string url = workspace::url_of(r, s.name);
    services.push_back({{"name", s.name},
                        {"state", s.state},
                        {"pid", s.pid == 0 ? Json(nullptr) : Json(s.pid)},
                        {"restarts", s.restarts},
                        {"url", url.empty() ? Json(nullptr) : Json(url)},
                        {"port", port_of(s.name)}});
  }
  Json json = {
      {"name", r.name},
      {"image", r.image},
      {"project", r.project.empty() ? Json(nullptr) : Json(r.project.string())},
      {"state", view.state},
      {"reason", view.reason.empty() ? Json(nullptr) : Json(view.reason)},
      {"drift", {{"added", view.drift.added}, {"removed", view.drift.removed}}},
      {"services", services},
      {"gpus", r.gpu.any() ? Json(r.gpu.which) : Json(nullptr)},
      {"home", folder.home().string()},
      {"pid", view.init == 0 ? Json(nullptr) : Json(view.init)},
      {"usage",
       {{"memory_bytes", view.usage.memory_bytes}, {"pids", view.usage.pids}, {"cpu_seconds", view.usage.cpu_seconds}}},
      {"limits",
       {{"memory_bytes", r.limits.memory_bytes ? Json(*r.limits.memory_bytes) : Json(nullptr)},
        {"cpus", r.limits.cpus ? Json(*r.limits.cpus) : Json(nullptr)},
        {"pids", r.limits.pids ? Json(*r.limits.pids) : Json(nullptr)},
        {"unmet", view.unmet}}},
      {"jupyter", nullptr},
      {"ssh", nullptr}};
  if (r.jupyter) {
    json["jupyter"] = {{"url", workspace::url_of(r, "jupyter")},
                       {"token_file", (folder.keys() / "jupyter_token").string()}};
  }
  if (r.ssh) {
    json["ssh"] = {
        {"host", "127.0.0.1"}, {"port", port_of("ssh")}, {"user", r.user}, {"config", folder.ssh_config().string()}};
  }
  return json;
}

std::string state_text(const workspace::View& view) {
  return view.reason.empty() ? view.state : view.state + ": " + view.reason;
}

std::string drift_text(const workspace::View& view) {
  std::vector<std::string> parts;
  if (!view.drift.added.empty()) {
    parts.push_back("installed " + join(view.drift.added, ", "));
  }
  if (!view.drift.removed.empty()) {
    parts.push_back("removed " + join(view.drift.removed, ", "));
  }
  return parts.empty() ? std::string()
                       : format(
                             "{} was changed by hand: {}. To keep it, write it under requirements in slipway.yaml "
                             "and run `slipway lock`",
                             view.record.name, join(parts, "; "));
}

workspace::UnitInput unit_input(const os::HostDirs& dirs) {
  const bool root = ::geteuid() == 0;
  const char* xdg = std::getenv("XDG_CONFIG_HOME");
  const std::filesystem::path own =
      xdg != nullptr && *xdg == '/' ? std::filesystem::path(xdg) : person_home() / ".config";
  return {dirs, std::filesystem::read_symlink("/proc/self/exe"), root ? std::filesystem::path("/etc") : own, root};
}

std::filesystem::path person_home() {
  const char* home = std::getenv("HOME");
  if (home != nullptr && *home == '/') {
    return home;
  }
  const auto user = os::user_by_id(::geteuid());
  return user ? user->home : std::string();
}

}  // namespace slip::cli
