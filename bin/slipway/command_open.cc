#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "command.h"
#include "core/error.h"
#include "core/text.h"
#include "options.h"
#include "os/file.h"
#include "os/process.h"
#include "session.h"
#include "workspace/inspect.h"
#include "workspace/monitor.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

std::string browser() {
  const char* chosen = std::getenv("BROWSER");
  return chosen != nullptr && *chosen != '\0' ? chosen : "xdg-open";
}

class Open final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Opens the workspace's Jupyter in the browser, logged in. The token travels in a file that only you can read, "
        "never in an argument. $BROWSER chooses the browser.");
    o.arg("NAME", name_, "the workspace").fallback("the one of the project here");
    o.flag("print", print_, "print the address with its token and open nothing; whoever has it can log in");
    o.example("slipway open", "Jupyter of the project here");
    o.example("slipway open --print tf29-dev", "the address to paste into a browser");
  }

  int run(Session& s) override {
    const workspace::Record record = find_workspace(name_);
    const workspace::Folder folder = workspace::folder_of(s.config().dirs, record.name);
    if (!record.jupyter) {
      throw Error(ErrorKind::NotFound, "workspace `{}` has no Jupyter", record.name)
          .add_hint("add `jupyter: {}` to services in slipway.yaml");
    }
    if (!workspace::is_alive(folder)) {
      throw Error(ErrorKind::Unavailable, "workspace `{}` does not run", record.name)
          .add_hint(record.project.empty() ? "slipway up " + record.image : "slipway up " + record.project.string());
    }
    const std::string token(trim(os::read_file(folder.keys() / "jupyter_token", 4096)));
    const std::string address = workspace::url_of(record, "jupyter") + "?token=" + token;
    if (print_) {
      s.print(address);
      return 0;
    }
    const std::filesystem::path page = folder.path / "open.html";
    os::write_file(page,
                   format("<!doctype html><meta http-equiv=\"refresh\" content=\"0;url={}\"><title>{}</title>\n", address,
                          record.name),
                   0600);
    try {
      os::Command command;
      command.argv = {browser(), page.string()};
      os::run_checked(command);
    } catch (Error& e) {
      throw e.add_hint(format("open {} yourself; `slipway open --print` shows it with its token",
                              workspace::url_of(record, "jupyter")));
    }
    return 0;
  }

 private:
  std::string name_;
  bool print_ = false;
};

}  // namespace

std::unique_ptr<Command> make_open() { return std::make_unique<Open>(); }

}  // namespace slip::cli
