#include <unistd.h>

#include "command.h"
#include "core/error.h"
#include "options.h"
#include "secret_input.h"
#include "session.h"
#include "workspace/control.h"
#include "workspace/files.h"
#include "workspace/monitor.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

class Passwd final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Sets a password for Jupyter, which then logs in beside the token. It is read from the terminal, or from "
        "standard input; only its argon2id hash is kept, in the workspace's own folder.");
    o.arg("NAME", name_, "the workspace").fallback("the one of the project here");
    o.flag("remove", remove_, "take the password away: only the token logs in");
    o.example("slipway passwd", "asks twice");
    o.example("slipway passwd tf29-dev < password.txt", "from a file that only you can read");
  }

  int run(Session& s) override {
    const workspace::Record record = find_workspace(name_);
    const workspace::Folder folder = workspace::folder_of(s.config().dirs, record.name);
    if (!record.jupyter) {
      throw Error(ErrorKind::NotFound, "workspace `{}` has no Jupyter", record.name);
    }
    workspace::set_password(folder, remove_ ? "" : new_password());
    if (workspace::is_alive(folder)) {
      workspace::order(folder, "restart", "jupyter");
    }
    s.say(remove_ ? format("Removed Jupyter's password of {}", record.name)
                  : format("Set Jupyter's password of {}", record.name));
    return 0;
  }

 private:
  static std::string new_password() {
    std::string password = ask_secret("New password: ");
    if (password.size() < 8) {
      throw Error(ErrorKind::Invalid, "a password needs at least 8 characters");
    }
    if (::isatty(0) != 0 && ask_secret("Once more: ") != password) {
      throw Error(ErrorKind::Invalid, "the two passwords differ: nothing was changed");
    }
    return password;
  }

  std::string name_;
  bool remove_ = false;
};

}  // namespace

std::unique_ptr<Command> make_passwd() { return std::make_unique<Passwd>(); }

}  // namespace slip::cli
