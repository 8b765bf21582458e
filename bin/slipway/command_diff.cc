#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "inspect/diff.h"
#include "lock/diff.h"
#include "options.h"
#include "os/file.h"
#include "session.h"

namespace slip::cli {
namespace {

using nlohmann::json;

/// A lock file's path, not an image's name.
bool is_lock(const std::string& text) { return text.ends_with(".lock") && std::filesystem::is_regular_file(text); }

json or_null(const std::string& text) { return text.empty() ? json() : json(text); }

class Diff final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Compares two images, or two lock files. Of images: configuration, packages, and every file by its content, so "
        "that "
        "what a slim image kept of the one it was made from is found also where it lies at another path. Images may be "
        "of "
        "any origin.\n\n"
        "Exit status 0 whether they differ or not.");
    o.arg("A", a_, "an image (of the store, `oci:DIR[:TAG]`, `oci-archive:FILE`, `docker-archive:FILE`) or a lock file")
        .required();
    o.arg("B", b_, "what to compare it with").required();
    o.flag("files", files_, "list every file that differs");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway diff tf29-dev:yesterday tf29-dev", "what a new build changed");
    o.example("slipway diff --files tf29-dev digits-serving", "what of the workspace went into production");
  }

  int run(Session& s) override {
    if (is_lock(a_) || is_lock(b_)) {
      return diff_locks(s);
    }
    lock::Context& context = s.context(offline_);
    const inspect::Subject a = inspect::Subject::open(a_, context);
    const inspect::Subject b = inspect::Subject::open(b_, context);
    const inspect::ImageDiff diff = inspect::diff_images(a, b, s.events());
    if (s.json()) {
      s.print(record_of(diff, a, b).dump());
    } else {
      print(diff, s);
    }
    return 0;
  }

 private:
  int diff_locks(Session& s) {
    const auto read = [](const std::string& file) { return lock::from_toml(os::read_file(file), file); };
    if (!is_lock(a_) || !is_lock(b_)) {
      throw Error(ErrorKind::Usage, "`{}` is no lock file", is_lock(a_) ? b_ : a_)
          .add_hint("compare two lock files, or two images");
    }
    const std::vector<lock::Change> changes = lock::diff(read(a_), read(b_));
    if (!s.json()) {
      changes.empty() ? s.say("Compared two locks: they name the same") : s.print(lock::diff_table(changes));
      return 0;
    }
    json list = json::array();
    for (const lock::Change& c : changes) {
      list.push_back({{"kind", c.kind}, {"name", c.name}, {"before", or_null(c.before)}, {"after", or_null(c.after)}});
    }
    s.print(json{{"a", a_}, {"b", b_}, {"same", changes.empty()}, {"packages", list}}.dump());
    return 0;
  }

  static json files_of(const std::vector<inspect::ImageDiff::File>& files) {
    json list = json::array();
    for (const auto& f : files) {
      json one = {{"path", "/" + f.path}, {"size", f.size}};
      if (!f.fields.empty()) {
        one["fields"] = f.fields;
      }
      if (!f.elsewhere.empty()) {
        one["same_as"] = "/" + f.elsewhere;
      }
      list.push_back(std::move(one));
    }
    return list;
  }

  json record_of(const inspect::ImageDiff& diff, const inspect::Subject& a, const inspect::Subject& b) const {
    json config = json::array();
    for (const auto& f : diff.config) {
      config.push_back({{"field", f.name}, {"before", or_null(f.before)}, {"after", or_null(f.after)}});
    }
    json packages = json::array();
    for (const auto& p : diff.packages) {
      packages.push_back(
          {{"kind", p.kind}, {"name", p.name}, {"before", or_null(p.before)}, {"after", or_null(p.after)}});
    }
    json files = {{"kept", diff.kept_files},       {"kept_bytes", diff.kept_bytes}, {"new", diff.new_files},
                  {"new_bytes", diff.new_bytes},   {"lost", diff.lost_files},       {"lost_bytes", diff.lost_bytes},
                  {"changed", diff.changed.size()}};
    if (files_) {
      files["changed_files"] = files_of(diff.changed);
      files["only_a"] = files_of(diff.only_a);
      files["only_b"] = files_of(diff.only_b);
    }
    return {{"a", {{"name", a.name()}, {"digest", a.digest().text()}}},
            {"b", {{"name", b.name()}, {"digest", b.digest().text()}}},
            {"same", diff.same},
            {"config", config},
            {"shared_layers", diff.shared_layers},
            {"packages", packages},
            {"files", files}};
  }

  void print(const inspect::ImageDiff& diff, Session& s) const {
    if (diff.same) {
      s.say("Compared two images: they are the same");
      return;
    }
    for (const auto& f : diff.config) {
      const bool document = f.name == "label dev.slipway.spec";
      s.print(document ? format(" ~ {}", f.name)
                       : format(" ~ {}: {} -> {}", f.name, f.before.empty() ? "-" : printable(f.before),
                                f.after.empty() ? "-" : printable(f.after)));
    }
    for (const auto& p : diff.packages) {
      const std::string name = p.kind + " " + printable(p.name);
      s.print(p.before.empty()  ? format(" + {} {}", name, p.after)
              : p.after.empty() ? format(" - {} {}", name, p.before)
                                : format(" ~ {} {} -> {}", name, p.before, p.after));
    }
    if (files_) {
      print_files(diff, s);
    }
    s.print(format("{} with {} kept, {} with {} new, {} with {} gone; {} of B's layers shared",
                   counted(diff.kept_files, "file"), human_size(diff.kept_bytes), counted(diff.new_files, "file"),
                   human_size(diff.new_bytes), counted(diff.lost_files, "file"), human_size(diff.lost_bytes),
                   diff.shared_layers.size()));
  }

  static void print_files(const inspect::ImageDiff& diff, Session& s) {
    for (const auto& f : diff.changed) {
      s.print(format(" ~ /{} ({})", printable(f.path), join(f.fields, ", ")));
    }
    for (const auto& f : diff.only_a) {
      s.print(format(" - /{} {}", printable(f.path), human_size(f.size)));
    }
    for (const auto& f : diff.only_b) {
      s.print(format(" + /{} {}{}", printable(f.path), human_size(f.size),
                     f.elsewhere.empty() ? "" : format(" (as /{})", printable(f.elsewhere))));
    }
  }

  std::string a_;
  std::string b_;
  bool files_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_diff() { return std::make_unique<Diff>(); }

}  // namespace slip::cli
