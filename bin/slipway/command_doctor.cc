#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>

#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "findings.h"
#include "inspect/doctor.h"
#include "options.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

class Doctor final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Looks at this machine: kernel, namespaces, overlays, system-call filters, cgroups, tools, disk, what killed "
        "processes "
        "left in the store and of workspaces, sources and the clock, and GPUs. What can be tried is tried; nothing is "
        "changed.\n\n"
        "Each check says what it found, what it wanted, and what to do. Exit status 1: a check failed.");
    o.flag("offline", offline_, "ask no source");
    o.json();
    o.example("slipway doctor", "look before the first build, or when something fails");
    o.example("slipway doctor --json --offline", "the same for scripts, without a network");
  }

  int run(Session& s) override {
    const config::Config& config = s.config();
    inspect::DoctorInput input{config, offline_ ? nullptr : &s.http(), init_path(), std::time(nullptr)};
    const std::vector<Finding> findings = inspect::examine(input);
    print_findings(findings, s);
    const auto failed = std::ranges::count_if(findings, [](const Finding& f) { return !f.ok; });
    if (s.json()) {
      s.print(nlohmann::json{{"ok", failed == 0}, {"checks", to_json(findings)}}.dump());
    } else {
      s.say(format("Checked this machine: {}, {}", counted(findings.size(), "check"),
                   failed == 0 ? "all passed" : format("{} failed", failed)));
    }
    return failed == 0 ? 0 : 1;
  }

 private:
  /// Where slipway-init is, or should be.
  static std::filesystem::path init_path() {
    try {
      return find_init().path;
    } catch (const Error&) {
      return std::filesystem::read_symlink("/proc/self/exe").parent_path() / "slipway-init";
    }
  }

  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_doctor() { return std::make_unique<Doctor>(); }

}  // namespace slip::cli
