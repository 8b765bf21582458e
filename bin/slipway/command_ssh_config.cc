#include "command.h"
#include "core/error.h"
#include "options.h"
#include "os/file.h"
#include "session.h"
#include "workspace/ssh_config.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

class SshConfig final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Prints the lines of ssh_config that lead to a workspace. With --via they are for another machine, which reaches "
        "this one over SSH: paste them into its ~/.ssh/config. They jump through this host to the workspace, and bring "
        "Jupyter to the same port there. The other machine's public key must be among those that may log in: in "
        "services.ssh.keys of slipway.yaml, or in ~/.ssh here as a .pub file.");
    o.arg("NAME", name_, "the workspace").fallback("the one of the project here");
    o.value("via", "HOST", via_, "this host, as the other machine's ssh calls it");
    o.example("slipway ssh-config", "what `ssh NAME` uses here");
    o.example("slipway ssh-config --via gpu1.example.com", "the block for a laptop");
  }

  int run(Session& s) override {
    const workspace::Record record = find_workspace(name_);
    const workspace::Folder folder = workspace::folder_of(s.config().dirs, record.name);
    if (!record.ssh) {
      throw Error(ErrorKind::NotFound, "workspace `{}` has no SSH", record.name)
          .add_hint("add `ssh: {}` to services in slipway.yaml");
    }
    s.print(via_.empty() ? workspace::ssh_block(record, folder)
                         : workspace::remote_ssh_block(
                               record, via_, os::read_file(folder.keys() / "ssh_host_ed25519_key.pub", 1 << 16)));
    return 0;
  }

 private:
  std::string name_;
  std::string via_;
};

}  // namespace

std::unique_ptr<Command> make_ssh_config() { return std::make_unique<SshConfig>(); }

}  // namespace slip::cli
