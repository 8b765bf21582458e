#include "command.h"
#include "core/error.h"
#include "options.h"
#include "session.h"
#include "workspace/control.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

class Restart final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Starts a service of a running workspace anew; the others are not disturbed. A whole workspace starts anew with "
        "`slipway down` and `slipway up`.");
    o.arg("SERVICE", service_, "jupyter or ssh").required();
    o.arg("NAME", name_, "the workspace").fallback("the one of the project here");
    o.example("slipway restart jupyter", "let Jupyter read what was installed since");
    o.example("slipway restart ssh tf29-dev", "in a workspace by name");
  }

  int run(Session& s) override {
    const workspace::Record record = find_workspace(name_);
    workspace::order(workspace::folder_of(s.config().dirs, record.name), "restart", service_);
    s.say(format("Restarted {} in {}", service_, record.name));
    return 0;
  }

 private:
  std::string service_;
  std::string name_;
};

}  // namespace

std::unique_ptr<Command> make_restart() { return std::make_unique<Restart>(); }

}  // namespace slip::cli
