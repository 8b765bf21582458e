#include <unistd.h>

#include <charconv>

#include "command.h"
#include "core/error.h"
#include "launch/native.h"
#include "options.h"
#include "session.h"
#include "workspace/host.h"
#include "workspace/manage.h"
#include "workspace/unit.h"

namespace slip::cli {
namespace {

/// The process behind a workspace. `slipway up` starts it; people do not.
class Monitor final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Runs a workspace until it ends. `slipway up` starts this by itself.");
    o.arg("NAME", name_, "the workspace").required();
    o.arg("READY_FD", ready_, "descriptor to write one byte to once it runs")
        .fallback("systemd is told, where it asks");
    o.example("slipway monitor tf29-dev 3", "what `slipway up` runs in the background");
    o.example("slipway logs tf29-dev", "see what happens inside");
  }

  int run(Session& s) override {
    const config::Config& config = s.config();
    const workspace::Folder folder = workspace::folder_of(config.dirs, name_);
    const workspace::Record record = workspace::require_record(config.dirs, name_);
    workspace::MonitorInput input;
    input.id = launch::host_id(config.root_host_id);
    input.outbound = workspace::outbound_of(config);
    const auto lease = s.store().lease_tree(record.root);
    if (!lease) {
      throw Error(ErrorKind::NotFound, "the image of workspace `{}` is not in the store", name_).add_hint("slipway up");
    }
    input.root = lease->tree();
    s.close_store();
    int ready = -1;
    std::from_chars(ready_.data(), ready_.data() + ready_.size(), ready);
    return workspace::run_monitor(record, folder, input, [ready] {
      if (ready >= 0) {
        [[maybe_unused]] const auto n = ::write(ready, "", 1);
        ::close(ready);
      }
      workspace::notify_ready();
    });
  }

 private:
  std::string name_;
  std::string ready_;
};

}  // namespace

std::unique_ptr<Command> make_monitor() { return std::make_unique<Monitor>(); }

}  // namespace slip::cli
