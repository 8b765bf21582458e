#include <chrono>

#include "codec/json.h"
#include "command.h"
#include "core/error.h"
#include "core/text.h"
#include "lock/diff.h"
#include "lock/solve.h"
#include "nlohmann/json.hpp"
#include "options.h"
#include "os/file.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

class Lock final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Resolves everything the spec asks for into slipway.lock: every Debian package, wheel and tool by version, "
        "size and "
        "SHA-256, without naming any host. Versions that are locked stay, as far as the spec still allows them.");
    o.value("file", 'f', "FILE", file_, "the spec").fallback("slipway.yaml here or in a folder above").file();
    o.value("variant", "NAME", variant_, "lock a variant of the spec");
    o.value("update", "PACKAGE", update_, "let the version of this package move (may be repeated)");
    o.flag("update-all", update_all_, "let every version move");
    o.flag("check", check_, "write nothing; exit 1 when the lock is stale");
    o.flag("diff", diff_, "write nothing; show what a new lock would change");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway lock --update pandas", "let one pin move");
    o.example("slipway lock --update-all --diff", "show what newer versions there are");
  }

  int run(Session& s) override {
    const auto start = std::chrono::steady_clock::now();
    const Project project = open_project(file_, variant_);
    const image::InitProgram init = find_init();
    if (check_) {
      require_lock(project, init);
      return report(s, project, *project.lock, false, start);
    }
    const lock::SolveOptions options{lock_to_follow(project), update_, update_all_, init.sha256};
    const lock::Lock solved = lock::solve(project.spec, options, s.context(offline_));
    const bool changed = !project.lock || !(*project.lock == solved);
    if (diff_) {
      print_diff(s, lock::diff(project.lock.value_or(lock::Lock{}), solved));
      return 0;
    }
    if (changed) {
      os::write_file(project.lock_file, lock::to_toml(solved));
    }
    return report(s, project, solved, changed, start);
  }

 private:
  static void print_diff(Session& s, const std::vector<lock::Change>& changes) {
    if (!s.json()) {
      s.print(lock::diff_table(changes));
      return;
    }
    codec::Json list = codec::Json::array();
    const auto version = [](const std::string& text) { return text.empty() ? codec::Json() : codec::Json(text); };
    for (const lock::Change& c : changes) {
      list.push_back({{"kind", c.kind}, {"name", c.name}, {"before", version(c.before)}, {"after", version(c.after)}});
    }
    s.print(codec::Json{{"changed", !changes.empty()}, {"changes", list}}.dump());
  }

  int report(Session& s, const Project& project, const lock::Lock& now, bool changed,
             std::chrono::steady_clock::time_point start) {
    const auto sdists = static_cast<std::size_t>(
        std::count_if(now.wheels.begin(), now.wheels.end(), [](const lock::Wheel& w) { return w.built.has_value(); }));
    if (s.json()) {
      s.print(codec::Json{{"changed", changed},
                          {"digest", lock::digest(now).text()},
                          {"packages",
                           {{"deb", now.debs.size()},
                            {"wheel", now.wheels.size() - sdists},
                            {"sdist", sdists},
                            {"tool", now.tools.size() + now.build_tools.size()}}}}
                  .dump());
      return 0;
    }
    const std::string name = project.lock_file.filename().string();
    if (!changed) {
      s.say(format("Locked already: {} is up to date", name));
      return 0;
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    s.say(format("Locked {} packages in {}", now.debs.size() + now.wheels.size(), human_seconds(seconds)));
    for (const lock::Added& added : now.added) {
      if (!project.lock || std::ranges::find(project.lock->added, added) == project.lock->added.end()) {
        s.say(format(" + {} (added: {})", added.constraint, added.because));
      }
    }
    for (const lock::LeftOut& left_out : now.left_out) {
      if (!project.lock || std::ranges::find(project.lock->left_out, left_out) == project.lock->left_out.end()) {
        s.say(format(" - {} (left out: {})", left_out.name, left_out.because));
      }
    }
    if (project.lock) {
      for (const lock::Change& change : lock::diff(*project.lock, now)) {
        if (change.before.empty()) {
          s.say(format(" + {} {}", change.name, change.after));
        } else if (change.after.empty()) {
          s.say(format(" - {} {}", change.name, change.before));
        } else {
          s.say(format(" ~ {} {} -> {}", change.name, change.before, change.after));
        }
      }
    }
    return 0;
  }

  std::string file_;
  std::string variant_;
  std::vector<std::string> update_;
  bool update_all_ = false;
  bool check_ = false;
  bool diff_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_lock() { return std::make_unique<Lock>(); }

}  // namespace slip::cli
