#include <ctime>
#include <nlohmann/json.hpp>

#include "command.h"
#include "core/text.h"
#include "options.h"
#include "session.h"
#include "workspace/inspect.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

/// "412.0 MB", "412.0 MB of 8.0 GB".
std::string memory_text(const workspace::View& view) {
  const std::string used = human_size(view.usage.memory_bytes);
  return view.record.limits.memory_bytes ? format("{} of {}", used, human_size(*view.record.limits.memory_bytes))
                                         : used;
}

std::string pids_text(const workspace::View& view) {
  return view.record.limits.pids ? format("{} of {}", view.usage.pids, *view.record.limits.pids)
                                 : format("{}", view.usage.pids);
}

std::string services_text(const workspace::View& view) {
  std::vector<std::string> parts;
  for (const workspace::ServiceState& s : service_rows(view)) {
    const auto port = view.record.ports.find(s.name);
    std::string part = s.name + (port == view.record.ports.end() ? "" : format(" :{}", port->second));
    if (s.state != "ready") {
      part += " " + s.state;
    }
    if (s.restarts > 0) {
      part += format(" ({})", s.restarts == 1 ? "1 restart" : format("{} restarts", s.restarts));
    }
    parts.push_back(std::move(part));
  }
  return join(parts, ", ");
}

class Ps final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Lists this user's workspaces: whether they run, where their services are, what they use of their limits.");
    o.args("NAME", names_, "only these");
    o.json();
    o.example("slipway ps", "all workspaces");
    o.example("slipway ps --json tf29-dev", "one, for scripts");
  }

  int run(Session& s) override {
    const os::HostDirs& dirs = s.config().dirs;
    nlohmann::json records = nlohmann::json::array();
    std::string table = format("{:<20} {:<10} {:<22} {:<12} {}\n", "NAME", "STATE", "MEMORY", "PROCESSES", "SERVICES");
    std::vector<std::string> notes;
    for (const std::string& name : names_.empty() ? workspace::workspace_names(dirs) : names_) {
      const workspace::View view = workspace::inspect(dirs, find_workspace(name).name);
      records.push_back(to_json(view, workspace::folder_of(dirs, name)));
      const bool runs = view.init != 0;
      table += format("{:<20} {:<10} {:<22} {:<12} {}\n", name, view.state, runs ? memory_text(view) : "-",
                      runs ? pids_text(view) : "-", services_text(view));
      if (!view.reason.empty()) {
        notes.push_back(format("{}: {}", name, view.reason));
      }
      if (const std::string drift = drift_text(view); !drift.empty()) {
        notes.push_back(drift);
      }
    }
    s.print(s.json() ? records.dump() : table);
    for (const std::string& note : s.json() ? std::vector<std::string>{} : notes) {
      s.events().info("{}", note);
    }
    return 0;
  }

 private:
  std::vector<std::string> names_;
};

}  // namespace

std::unique_ptr<Command> make_ps() { return std::make_unique<Ps>(); }

}  // namespace slip::cli
