#include <unistd.h>

#include <cstdlib>

#include "command.h"
#include "core/error.h"
#include "core/text.h"
#include "launch/native.h"
#include "options.h"
#include "session.h"
#include "workspace/monitor.h"
#include "workspace/plan.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

class Exec final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Runs a command inside a workspace that runs: the same user, files, network and limits as its services, no "
        "capabilities. The command's own exit status is passed on.");
    o.arg("NAME", name_, "the workspace").fallback("the one of the project here");
    o.value("env", 'e', "NAME=VALUE", env_, "set a variable; NAME alone takes the caller's value (may be repeated)");
    o.value("workdir", 'w', "FOLDER", cwd_, "where the command starts").fallback("/workspace");
    o.rest("COMMAND", command_, "what to run, with its arguments").required();
    o.example("slipway exec -- pip list", "look inside the workspace of the project here");
    o.example("slipway exec tf29-dev bash", "a shell in one by name");
  }

  int run(Session& s) override {
    const workspace::Record record = find();
    const config::Config& config = s.config();
    const workspace::Folder folder = workspace::folder_of(config.dirs, record.name);
    const auto status = workspace::load_status(folder);
    if (!workspace::is_alive(folder) || !status || !status->running) {
      throw Error(ErrorKind::Unavailable, "workspace `{}` does not run", record.name)
          .add_hint(record.project.empty() ? "slipway up " + record.image : "slipway up " + record.project.string());
    }
    launch::LaunchPlan plan = workspace::plan_up(record, folder, {});
    plan.argv = command_;
    plan.cwd = cwd_.empty() ? plan.cwd : cwd_;
    plan.new_session = false;
    if (const char* term = std::getenv("TERM"); term != nullptr) {
      plan.env["TERM"] = term;
    }
    for (const std::string& variable : env_) {
      const std::size_t equals = variable.find('=');
      const std::string name = variable.substr(0, equals);
      if (name.empty()) {
        throw Error(ErrorKind::Usage, "`{}` sets no variable: write NAME=VALUE or NAME", variable);
      }
      const char* callers = std::getenv(name.c_str());
      plan.env[name] = equals != std::string::npos ? variable.substr(equals + 1) : callers == nullptr ? "" : callers;
    }
    const launch::LaunchResult result =
        launch::exec_native(status->init, plan, launch::host_id(config.root_host_id), launch::Stdio{}, s.events());
    return result.status.shell_status();
  }

 private:
  /// `slipway exec pip list` takes pip for a workspace: whoever means a command is shown the way.
  workspace::Record find() {
    try {
      return find_workspace(name_);
    } catch (Error& error) {
      constexpr std::size_t kShort = 40;  // what is longer was hardly meant as a name and a word or two
      const std::string meant = name_ + " " + join(command_, " ");
      if (!name_.empty() && error.kind() == ErrorKind::NotFound && meant.size() <= kShort) {
        error.add_hint("in the workspace of the project here: slipway exec -- " + meant);
      }
      throw;
    }
  }

  std::string name_;
  std::string cwd_;
  std::vector<std::string> env_;
  std::vector<std::string> command_;
};

}  // namespace

std::unique_ptr<Command> make_exec() { return std::make_unique<Exec>(); }

}  // namespace slip::cli
