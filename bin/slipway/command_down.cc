#include "command.h"
#include "core/error.h"
#include "options.h"
#include "session.h"
#include "workspace/manage.h"
#include "workspace/unit.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

class Down final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Stops a workspace: its services get a few seconds to end in order, then nothing of it is left running. Home, "
        "keys, ports and installed packages are kept for the next `slipway up`.");
    o.args("NAME", names_, "workspaces; the one of the project here when none is named");
    o.flag("all", 'a', all_, "all of this user's");
    o.flag("disable", disable_, "also take its systemd unit away, see `slipway up --enable`");
    o.flag("purge", purge_, "forget them as well: home, keys, logs and installed packages are removed");
    o.example("slipway down", "stop the workspace of the project here");
    o.example("slipway down --purge tf29-dev", "and remove all that it kept");
  }

  int run(Session& s) override {
    const os::HostDirs& dirs = s.config().dirs;
    if (all_ && !names_.empty()) {
      throw Error(ErrorKind::Usage, "`slipway down --all` takes no names");
    }
    std::vector<std::string> names = all_ ? workspace::workspace_names(dirs) : names_;
    if (names.empty() && !all_) {
      names.push_back(find_workspace("").name);
    }
    for (const std::string& name : names) {
      const bool ran = workspace::down(dirs, name, s.events());
      if (disable_ || purge_) {
        workspace::disable_unit(unit_input(dirs), name);
      }
      if (purge_) {
        workspace::purge(dirs, name);
      }
      s.say(purge_ ? format("Removed {}", name) : ran ? format("Stopped {}", name) : format("Stopped {} before", name));
    }
    return 0;
  }

 private:
  std::vector<std::string> names_;
  bool all_ = false;
  bool disable_ = false;
  bool purge_ = false;
};

}  // namespace

std::unique_ptr<Command> make_down() { return std::make_unique<Down>(); }

}  // namespace slip::cli
