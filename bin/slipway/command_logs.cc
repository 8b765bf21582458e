#include <chrono>
#include <thread>

#include "command.h"
#include "options.h"
#include "session.h"
#include "workspace/journal.h"
#include "workspace/monitor.h"
#include "workspaces.h"

namespace slip::cli {
namespace {

class Logs final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Prints what the services of a workspace wrote, and what slipway-init did with them. The newest 40 MB are kept. "
        "With --json the records come as they are stored, one a line.");
    o.arg("NAME", name_, "the workspace").fallback("the one of the project here");
    o.flag("follow", 'f', follow_, "go on until the workspace ends");
    o.value("service", 's', "SERVICE", service_, "only of this service");
    o.json();
    o.example("slipway logs", "all there is");
    o.example("slipway logs -f --service jupyter", "watch Jupyter");
  }

  int run(Session& s) override {
    const workspace::Record record = find_workspace(name_);
    const workspace::Folder folder = workspace::folder_of(s.config().dirs, record.name);
    workspace::JournalReader reader(folder.log());
    const auto each = [&](std::string_view text) { show(s, text); };
    while (true) {
      const bool alive = workspace::is_alive(folder);
      reader.read(each);
      if (!follow_ || !alive) {
        return 0;
      }
      std::this_thread::sleep_for(std::chrono::milliseconds(100));
    }
  }

 private:
  void show(Session& s, std::string_view record) const {
    const auto line = workspace::line_of(record);
    if (!line || (!service_.empty() && line->service != service_)) {
      return;
    }
    s.print(s.json() ? std::string(record) : format("{} {:<8} {}", line->time, line->service, line->text));
  }

  std::string name_;
  std::string service_;
  bool follow_ = false;
};

}  // namespace

std::unique_ptr<Command> make_logs() { return std::make_unique<Logs>(); }

}  // namespace slip::cli
