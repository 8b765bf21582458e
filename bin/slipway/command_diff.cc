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
        "that what a slim image kept of the one it was made from is found also where it lies at another path. Images "
        "may be of any origin. A library that has the same name and other bytes is shown with both sizes, and whether "
        "it is the other one without its symbol tables, which is tried.\n\n"
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
    const inspect::ImageDiff diff = inspect::diff_images(a, b, context);
    if (s.json()) {
      s.print(record_of(diff, a, b).dump());
    } else {
      print(diff, a, b, s);
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
    return {{"a", image_of(a, diff.a)},
            {"b", image_of(b, diff.b)},
            {"same", diff.same},
            {"config", config},
            {"shared_layers", diff.shared_layers},
            {"packages", packages},
            {"kept_packages", diff.kept_packages},
            {"files", files},
            {"kept", parts_of(diff.kept)},
            {"libraries", libraries_of(diff.libraries)},
            {"new", parts_of(diff.added)},
            {"lost", parts_of(diff.lost)}};
  }

  static json image_of(const inspect::Subject& image, const inspect::ImageDiff::Contents& contents) {
    return {{"name", image.name()},    {"digest", image.digest().text()}, {"size_unpacked", contents.bytes},
            {"files", contents.files}, {"debs", contents.debs},           {"python_packages", contents.wheels},
            {"layers", image.layers()}};
  }

  static json parts_of(const std::vector<inspect::ImageDiff::Part>& parts) {
    json list = json::array();
    for (const auto& part : parts) {
      list.push_back({{"of", or_null(part.name)}, {"files", part.files}, {"size", part.bytes}});
    }
    return list;
  }

  static json libraries_of(const std::vector<inspect::Namesake>& libraries) {
    const auto place_of = [](const inspect::Namesake::Place& place) {
      return json{{"path", "/" + place.path},
                  {"size", place.size},
                  {"sha256", place.sha256.text()},
                  {"package", or_null(place.package)}};
    };
    json list = json::array();
    for (const inspect::Namesake& library : libraries) {
      list.push_back({{"name", library.name},
                      {"a", place_of(library.before)},
                      {"b", place_of(library.after)},
                      {"stripped", library.relation != inspect::Namesake::Relation::Build},
                      {"same_build", library.relation == inspect::Namesake::Relation::Stripped}});
    }
    return list;
  }

  void print(const inspect::ImageDiff& diff, const inspect::Subject& a, const inspect::Subject& b, Session& s) const {
    if (diff.same) {
      s.say("Compared two images: they are the same");
      return;
    }
    print_sizes(diff, a, b, s);
    print_packages(diff, s);
    heading("Kept",
            format("{}, {}: the same SHA-256 in both", counted(diff.kept_files, "file"), human_size(diff.kept_bytes)),
            s);
    // Of an image of which nearly everything is kept, the parts that are kept say nothing.
    if (diff.kept_bytes < diff.a.bytes / 2) {
      print_parts(diff.kept, s);
    }
    print_libraries(diff.libraries, s);
    heading("New", format("{}, {}", counted(diff.new_files, "file"), human_size(diff.new_bytes)), s);
    print_parts(diff.added, s);
    heading("Left out", format("{}, {}", counted(diff.lost_files, "file"), human_size(diff.lost_bytes)), s);
    print_parts(diff.lost, s);
    print_config(diff, s);
    if (files_) {
      heading("Files", "by path", s);
      print_files(diff, s);
    }
  }

  static void heading(std::string_view title, const std::string& text, Session& s) {
    s.print(format("\n{}: {}", s.out().paint(Style::Title, title), text));
  }

  static void print_sizes(const inspect::ImageDiff& diff, const inspect::Subject& a, const inspect::Subject& b,
                          Session& s) {
    s.print(format("A  {}\nB  {}\n", a.name(), b.name()));
    const auto row = [&](std::string_view what, const std::string& in_a, const std::string& in_b) {
      s.print(format("{:<16} {:>10} {:>10}", what, in_a, in_b));
    };
    const auto numbers = [&](std::string_view what, std::size_t in_a, std::size_t in_b) {
      row(what, std::to_string(in_a), std::to_string(in_b));
    };
    row("", "A", "B");
    row("bytes of files", human_size(diff.a.bytes), human_size(diff.b.bytes));
    numbers("files", diff.a.files, diff.b.files);
    numbers("Debian packages", diff.a.debs, diff.b.debs);
    numbers("Python packages", diff.a.wheels, diff.b.wheels);
    numbers("layers", a.layers(), b.layers());
    numbers("of them in both", diff.shared_layers.size(), diff.shared_layers.size());
  }

  static void print_config(const inspect::ImageDiff& diff, Session& s) {
    if (diff.config.empty()) {
      return;
    }
    heading("Configuration", counted(diff.config.size(), "setting"), s);
    const auto shown = [](const std::string& value) {
      constexpr std::size_t kMost = 40;
      return value.empty() ? "-" : printable(value.size() > kMost ? value.substr(0, kMost) + "…" : value);
    };
    for (const auto& f : diff.config) {
      const bool document = f.before.starts_with('{') || f.after.starts_with('{');
      s.print(document ? format("  {} {}", sign(f.before, f.after), f.name)
                       : format("  {} {}: {} -> {}", sign(f.before, f.after), f.name, shown(f.before), shown(f.after)));
    }
  }

  static char sign(const std::string& before, const std::string& after) {
    return before.empty() ? '+' : after.empty() ? '-' : '~';
  }

  static void print_packages(const inspect::ImageDiff& diff, Session& s) {
    const auto gone =
        static_cast<std::size_t>(std::ranges::count_if(diff.packages, [](const auto& p) { return p.after.empty(); }));
    const auto come =
        static_cast<std::size_t>(std::ranges::count_if(diff.packages, [](const auto& p) { return p.before.empty(); }));
    heading("Packages",
            format("{} kept in their version, {} in another, {} new, {} left out", diff.kept_packages,
                   diff.packages.size() - gone - come, come, gone),
            s);
    for (const auto& p : diff.packages) {
      const std::string name = p.kind + " " + printable(p.name);
      if (p.before.empty()) {
        s.print(format("  + {} {}", name, p.after));
      } else if (!p.after.empty()) {
        s.print(format("  ~ {} {} -> {}", name, p.before, p.after));
      } else if (gone <= kMostRows) {
        s.print(format("  - {} {}", name, p.before));
      }
    }
  }

  static void print_parts(const std::vector<inspect::ImageDiff::Part>& parts, Session& s) {
    for (std::size_t i = 0; i < std::min(kMostRows, parts.size()); ++i) {
      const std::string name = parts[i].name.empty() ? "of no package" : printable(parts[i].name);
      s.print(format("  {:>10} {:>12}  {}", human_size(parts[i].bytes), counted(parts[i].files, "file"), name));
    }
    print_rest(parts.size(), s);
  }

  static void print_rest(std::size_t all, Session& s) {
    if (all > kMostRows) {
      s.print(format("  and {} more, which `--json` lists", all - kMostRows));
    }
  }

  static void print_libraries(const std::vector<inspect::Namesake>& libraries, Session& s) {
    if (libraries.empty()) {
      return;
    }
    std::uint64_t before = 0;
    std::uint64_t after = 0;
    for (const inspect::Namesake& library : libraries) {
      before += library.before.size;
      after += library.after.size;
    }
    heading(
        "The same name, other bytes",
        format("{}, {} in A, {} in B", libraries.size() == 1 ? "1 library" : format("{} libraries", libraries.size()),
               human_size(before), human_size(after)),
        s);
    for (std::size_t i = 0; i < std::min(kMostRows, libraries.size()); ++i) {
      const inspect::Namesake& library = libraries[i];
      s.print(format("  {:>10} -> {:>10}  {}: {}", human_size(library.before.size), human_size(library.after.size),
                     printable(library.name), relation_of(library)));
    }
    print_rest(libraries.size(), s);
  }

  /// What became of a library, and where it is from.
  static std::string relation_of(const inspect::Namesake& library) {
    using Relation = inspect::Namesake::Relation;
    const std::string& before = library.before.package;
    const std::string& after = library.after.package;
    std::string text = library.relation == Relation::Stripped        ? "A's without its symbol tables"
                       : library.relation == Relation::StrippedBuild ? "another build, without symbol tables"
                                                                     : "another build";
    if (before.empty() && after.empty()) {
      return text;
    }
    // Of the same package only the versions differ.
    const std::size_t version = before.rfind(' ') + 1;
    const bool same = !before.empty() && after.starts_with(before.substr(0, version));
    const std::string to = before == after ? "" : " -> " + (after.empty() ? "?" : same ? after.substr(version) : after);
    text += format(" ({}{})", printable(before.empty() ? "?" : before), printable(to));
    return text;
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

  static constexpr std::size_t kMostRows = 12;  // of one list, where nobody asked for all
  std::string a_;
  std::string b_;
  bool files_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_diff() { return std::make_unique<Diff>(); }

}  // namespace slip::cli
