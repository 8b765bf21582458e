#include <unistd.h>

#include "command.h"
#include "core/error.h"
#include "options.h"
#include "os/fd.h"
#include "session.h"
#include "workspace/monitor.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

class Ssh final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Logs in to a workspace with OpenSSH's own client, with the key and the host key that `slipway up` made. After "
        "`slipway up` plain `ssh NAME`, scp, rsync, sftp and editors do the same.");
    o.arg("NAME", name_, "the workspace").fallback("the one of the project here");
    o.rest("COMMAND", command_, "what to run there instead of a shell");
    o.example("slipway ssh", "a shell in the workspace of the project here");
    o.example("slipway ssh tf29-dev python scripts/train.py", "run a command; its exit status is passed on");
  }

  int run(Session& s) override {
    const workspace::Record record = find_workspace(name_);
    const workspace::Folder folder = workspace::folder_of(s.config().dirs, record.name);
    if (!record.ssh) {
      throw Error(ErrorKind::NotFound, "workspace `{}` has no SSH", record.name)
          .add_hint(format("add `ssh: {{}}` to services in slipway.yaml, or use `slipway exec {} bash`", record.name));
    }
    if (!workspace::is_alive(folder)) {
      throw Error(ErrorKind::Unavailable, "workspace `{}` does not run", record.name)
          .add_hint(record.project.empty() ? "slipway up " + record.image : "slipway up " + record.project.string());
    }
    std::vector<std::string> words = {"ssh", "-F", folder.ssh_config().string(), record.name};
    words.insert(words.end(), command_.begin(), command_.end());
    std::vector<char*> argv;
    for (std::string& word : words) {
      argv.push_back(word.data());
    }
    argv.push_back(nullptr);
    ::execvp(argv[0], argv.data());
    throw os::sys_error(errno, "run `ssh`").add_hint("install OpenSSH's client (openssh-client)");
  }

 private:
  std::string name_;
  std::vector<std::string> command_;
};

}  // namespace

std::unique_ptr<Command> make_ssh() { return std::make_unique<Ssh>(); }

}  // namespace slip::cli
