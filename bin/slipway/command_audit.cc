#include <algorithm>
#include <ctime>
#include <nlohmann/json.hpp>
#include <optional>

#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "findings.h"
#include "inspect/audit.h"
#include "inspect/subject.h"
#include "options.h"
#include "project.h"
#include "session.h"
#include "workspace/audit.h"

namespace slip::cli {
namespace {

class Audit final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Checks an image, and the workspace of this name as it runs, against a security list. "
        "Of a workspace: the capabilities, filters, ids and namespaces of every process, mounts, devices, sockets on "
        "the "
        "host, limits, modes of secret files, and a search of command lines, environments and logs for the secrets. "
        "Of an image: its user, ports, health and variables, every file of every layer, "
        "how "
        "Jupyter and SSH are set up, that it holds what its lock names and nothing else, and which of its Debian "
        "packages "
        "have fixed versions by now, with the CVE ids that their changelogs name. "
        "Each check has an id that stays; one that fails says what was wanted and what to do.\n\n"
        "An exception that slipway makes on purpose is listed with its reason. Exit status 1: a check failed.");
    o.arg("NAME", name_,
          "a workspace, or an image: of the store, `oci:DIR[:TAG]`, `oci-archive:FILE` or `docker-archive:FILE`")
        .fallback("the image of the project here");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway audit tf29-dev", "check the workspace and its image");
    o.example("slipway audit --json oci-archive:image.tar", "check a file that somebody sent, for scripts");
  }

  int run(Session& s) override {
    const std::string name = name_.empty() ? open_project("", "").spec.name : name_;
    std::vector<Finding> running;
    const std::string image = look_at_workspace(s, name, running);
    std::optional<inspect::Subject> subject;
    inspect::ImageAudit still;
    if (running.empty() || s.store().resolve(image)) {
      subject = inspect::Subject::open(image.empty() ? name : image, s.context(offline_));
      still = inspect::audit_image(*subject, std::time(nullptr), s.context(offline_));
    } else {
      s.events().info("the store has no image `{}`: `slipway build` makes it, and audit looks at it then", image);
    }

    const auto count = [&](auto&& is) {
      return std::ranges::count_if(still.findings, is) + std::ranges::count_if(running, is);
    };
    const auto failed = count([](const Finding& f) { return !f.ok; });
    if (s.json()) {
      nlohmann::json record = {{"image", nullptr}, {"digest", nullptr}, {"ok", failed == 0}};
      if (subject) {
        record["image"] = subject->name();
        record["digest"] = subject->digest().text();
        record["fixes"] = to_json(still.fixes);
      }
      record["workspace"] = running.empty() ? nlohmann::json() : nlohmann::json(name);
      record["checks"] = marked(running, "workspace");
      for (nlohmann::json& check : marked(still.findings, "image")) {
        record["checks"].push_back(std::move(check));
      }
      s.print(record.dump());
    } else {
      if (!running.empty()) {
        s.print(format("Workspace {}, as it runs", name));
        print_findings(running, s);
        s.print(subject ? format("\nImage {}", subject->name()) : std::string());
      }
      print_findings(still.findings, s);
      s.say(format("Checked {}: {}, {}", name, counted(still.findings.size() + running.size(), "check"),
                   verdict(failed, count([](const Finding& f) { return f.ok && !f.exception.empty(); }))));
    }
    return failed == 0 ? 0 : 1;
  }

 private:
  /// "all passed", "3 failed, 5 excepted".
  static std::string verdict(std::ptrdiff_t failed, std::ptrdiff_t excepted) {
    const std::string first = failed == 0 ? excepted == 0 ? "all passed" : "none failed" : format("{} failed", failed);
    return excepted == 0 ? first : format("{}, {} excepted", first, excepted);
  }

  /// Judges the workspace of this name when there is one that runs. @return its image; empty: there is no such
  /// workspace
  static std::string look_at_workspace(Session& s, const std::string& name, std::vector<Finding>& findings) {
    const os::HostDirs& dirs = s.config().dirs;
    const std::vector<std::string> names = workspace::workspace_names(dirs);
    if (std::ranges::find(names, name) == names.end()) {
      return {};
    }
    const workspace::View view = workspace::inspect(dirs, name);
    if (view.init == 0) {
      s.events().info("workspace `{}` does not run: only its image is looked at", name);
    } else {
      const auto root = s.store().find_tree(view.record.root);
      findings = workspace::judge(workspace::gather(view, workspace::folder_of(dirs, name), root.value_or("")));
    }
    return view.record.image;
  }
  static nlohmann::json to_json(const inspect::FixReport& report) {
    const auto or_null = [](const std::string& text) { return text.empty() ? nlohmann::json() : nlohmann::json(text); };
    nlohmann::json outdated = nlohmann::json::array();
    for (const inspect::Outdated& o : report.outdated) {
      outdated.push_back({{"package", o.package},
                          {"version", o.version},
                          {"fixed", o.fixed},
                          {"source", o.suite},
                          {"cves", o.changelog_read ? nlohmann::json(o.cves) : nlohmann::json()}});
    }
    nlohmann::json support = nlohmann::json::array();
    for (const inspect::Support& p : report.support) {
      support.push_back({{"source", p.package}, {"ended", p.ended}, {"details", p.details}});
    }
    return {{"release", or_null(report.release)},
            {"dated", or_null(report.dated)},
            {"reason", or_null(report.reason)},
            {"fixes_until", or_null(report.fixes_until)},
            {"outdated", outdated},
            {"support", support},
            {"unknown", "flaws that no Debian package fixes yet, and flaws of Python packages"}};
  }
  /// The checks with what they are of.
  static nlohmann::json marked(const std::vector<Finding>& findings, const char* of) {
    nlohmann::json checks = cli::to_json(findings);
    for (nlohmann::json& check : checks) {
      check["of"] = of;
    }
    return checks;
  }

  std::string name_;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_audit() { return std::make_unique<Audit>(); }

}  // namespace slip::cli
