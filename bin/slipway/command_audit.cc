#include <algorithm>
#include <nlohmann/json.hpp>

#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "findings.h"
#include "inspect/audit.h"
#include "inspect/subject.h"
#include "options.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

class Audit final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Checks an image against a security list: its user, ports, health and variables, every file of every layer, "
        "how "
        "Jupyter and SSH are set up, and that it holds what its lock names and nothing else. "
        "Each check has an id that stays; one that fails says what was wanted and what to do.\n\n"
        "An exception that slipway makes on purpose is listed with its reason. Exit status 1: a check failed.");
    o.arg("NAME", name_, "an image: of the store, `oci:DIR[:TAG]`, `oci-archive:FILE` or `docker-archive:FILE`")
        .fallback("the image of the project here");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway audit tf29-dev", "check the image of this name");
    o.example("slipway audit --json oci-archive:image.tar", "check a file that somebody sent, for scripts");
  }

  int run(Session& s) override {
    const std::string name = name_.empty() ? open_project("", "").spec.name : name_;
    lock::Context& context = s.context(offline_);
    const inspect::Subject subject = inspect::Subject::open(name, context);
    const std::vector<Finding> findings = inspect::audit_image(subject, s.events());
    print_findings(findings, s);
    const auto failed = std::ranges::count_if(findings, [](const Finding& f) { return !f.ok; });
    if (s.json()) {
      s.print(nlohmann::json{{"image", subject.name()},
                             {"digest", subject.digest().text()},
                             {"ok", failed == 0},
                             {"checks", to_json(findings)}}
                  .dump());
    } else {
      s.say(format("Checked {}: {}, {}", name, counted(findings.size(), "check"),
                   failed == 0 ? "all passed" : format("{} failed", failed)));
    }
    return failed == 0 ? 0 : 1;
  }

 private:
  std::string name_;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_audit() { return std::make_unique<Audit>(); }

}  // namespace slip::cli
