#include <nlohmann/json.hpp>
#include <optional>

#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "inspect/account.h"
#include "options.h"
#include "os/file.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

using nlohmann::json;

json or_null(const std::string& text) { return text.empty() ? json() : json(text); }
json or_null(const Digest& digest) { return digest.empty() ? json() : json(digest.text()); }

class Explain final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Says what a file or a package is doing in an image: which line of the spec asked for it, through whom, from "
        "which "
        "locked file it came, in which layer it lies, and what it costs. Without PATH or PACKAGE: the whole image as a "
        "table, "
        "or with --html as a page to look at.\n\n"
        "Compressed sizes of files and packages are their share of the layer: an estimate.");
    o.arg("WHAT", what_, "a path inside (it begins with `/`) or a package (`numpy`, `deb:git`, `python:six`)")
        .fallback("the whole image");
    o.value("image", 'i', "REF", image_, "the image: of the store, `oci:DIR[:TAG]`, `oci-archive:FILE`")
        .fallback("the image of the project here");
    o.value("html", "FILE", html_, "write a page of its own: a treemap by layer and package").file();
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway explain /opt/venv/bin/jupyter", "who brought this file");
    o.example("slipway explain --html image.html", "see where the megabytes are");
  }

  int run(Session& s) override {
    std::optional<Project> project;
    if (image_.empty()) {
      project = open_project("", "");
    }
    lock::Context& context = s.context(offline_);
    const inspect::Subject subject = inspect::Subject::open(image_.empty() ? project->spec.name : image_, context);
    // Lines of the spec can be named when the checkout here is what the image was made from.
    const bool same = project && subject.spec() && subject.spec()->digest() == project->spec.digest();
    const inspect::Account account(subject, same ? &project->spec : nullptr, s.events());
    if (!html_.empty()) {
      os::write_file(html_, inspect::treemap_page(account, subject.name(), subject.digest()));
      s.say(format("Wrote {}", html_));
      if (what_.empty() && !s.json()) {
        return 0;
      }
    }
    if (what_.empty()) {
      explain_image(account, subject, s);
    } else if (what_.starts_with('/')) {
      explain_file(account, account.file(what_), s);
    } else {
      explain_package(account, account.package(what_), s);
    }
    return 0;
  }

 private:
  static json to_json(const inspect::Account& account, const inspect::Item& item) {
    return {{"kind", item.kind},
            {"name", item.name},
            {"version", or_null(item.version)},
            {"layer", account.layers()[item.layer].name},
            {"layer_digest", account.layers()[item.layer].digest.text()},
            {"file", or_null(item.file)},
            {"sha256", or_null(item.sha256)},
            {"download", item.download},
            {"size_unpacked", item.unpacked},
            {"size", item.packed},
            {"files", item.files},
            {"because", item.because},
            {"brings", item.brings}};
  }

  static void print_item(const inspect::Account& account, const inspect::Item& item, Session& s) {
    if (item.kind != "layer") {
      s.print(format("  package   {} {} ({})", printable(item.name), printable(item.version), item.kind));
    }
    if (!item.file.empty()) {
      s.print(format("  from      {}, {}, {}", item.file, item.sha256.text(), human_size(item.download)));
    }
    for (std::size_t i = 0; i < item.because.size(); ++i) {
      s.print(format("  {}   {}", i == 0 ? "because" : "       ", printable(item.because[i])));
    }
    const inspect::LayerCost& layer = account.layers()[item.layer];
    s.print(format("  layer     {}, {}", layer.name, layer.digest.text()));
  }

  static void explain_file(const inspect::Account& account, const inspect::FileAccount& file, Session& s) {
    const bool owned = file.item < account.items().size();
    const inspect::Item* item = owned ? &account.items()[file.item] : nullptr;
    const inspect::LayerCost& layer = account.layers()[file.layer];
    if (s.json()) {
      json record = {{"path", file.path},
                     {"type", file.type},
                     {"size_unpacked", file.size},
                     {"size", file.packed},
                     {"sha256", or_null(file.sha256)},
                     {"link", or_null(file.link)},
                     {"layer", layer.name},
                     {"layer_digest", layer.digest.text()},
                     {"made_by", file.because}};
      record["package"] = item != nullptr && item->kind != "layer" ? to_json(account, *item) : json();
      s.print(record.dump());
      return;
    }
    s.print(format("{}{}", printable(file.path), file.link.empty() ? "" : " -> " + printable(file.link)));
    if (item != nullptr && item->kind != "layer" && account.layers()[item->layer].name == layer.name) {
      print_item(account, *item, s);
    } else if (item != nullptr && item->kind != "layer") {
      // A file of a package that a later layer wrote anew.
      s.print(format("  package   {} {} ({})", printable(item->name), printable(item->version), item->kind));
      s.print(format("  written   {}", printable(file.because)));
      s.print(format("  layer     {}, {}", layer.name, layer.digest.text()));
    } else {
      s.print(format("  because   {}", printable(file.because)));
      s.print(format("  layer     {}, {}", layer.name, layer.digest.text()));
    }
    if (!file.sha256.empty()) {
      s.print(format("  content   {}", file.sha256.text()));
    }
    s.print(format("  costs     {} unpacked, about {} compressed", human_size(file.size), human_size(file.packed)));
  }

  static void explain_package(const inspect::Account& account, const inspect::Item& item, Session& s) {
    constexpr std::size_t kLargest = 5;
    const auto largest = account.largest(item, kLargest);
    if (s.json()) {
      json record = to_json(account, item);
      record["largest"] = json::array();
      for (const auto& [path, size] : largest) {
        record["largest"].push_back({{"path", path}, {"size", size}});
      }
      s.print(record.dump());
      return;
    }
    s.print(format("{} {}", printable(item.name), printable(item.version)));
    print_item(account, item, s);
    s.print(format("  costs     {} unpacked in {}, about {} compressed", human_size(item.unpacked),
                   counted(item.files, "file"), human_size(item.packed)));
    if (!item.brings.empty()) {
      s.print(format("  brings    {}", join(item.brings, ", ")));
    }
    for (const auto& [path, size] : largest) {
      s.print(format("  {:>9} {}", human_size(size), printable(path)));
    }
  }

  static void explain_image(const inspect::Account& account, const inspect::Subject& subject, Session& s) {
    if (s.json()) {
      json layers = json::array();
      for (const inspect::LayerCost& layer : account.layers()) {
        layers.push_back({{"name", layer.name},
                          {"kind", or_null(layer.kind)},
                          {"digest", layer.digest.text()},
                          {"size", layer.size},
                          {"size_unpacked", layer.unpacked},
                          {"files", layer.files},
                          {"packages", layer.packages}});
      }
      json items = json::array();
      for (const inspect::Item& item : account.items()) {
        items.push_back(to_json(account, item));
      }
      s.print(json{{"image", subject.name()}, {"digest", subject.digest().text()}, {"layers", layers}, {"items", items}}
                  .dump());
      return;
    }
    std::string table = format("{:<24} {:>10} {:>10} {:>8} {:>9}\n", "LAYER", "SIZE", "UNPACKED", "FILES", "PACKAGES");
    for (const inspect::LayerCost& layer : account.layers()) {
      table += format("{:<24} {:>10} {:>10} {:>8} {:>9}\n", layer.name, human_size(layer.size),
                      human_size(layer.unpacked), layer.files, layer.packages);
    }
    constexpr std::size_t kMost = 15;
    table += format("\n{:<34} {:>10} {:>10}  {}\n", "LARGEST", "SIZE", "UNPACKED", "BECAUSE");
    for (std::size_t i = 0; i < std::min(kMost, account.items().size()); ++i) {
      const inspect::Item& item = account.items()[i];
      const std::string name = item.kind == "layer" ? "rest of " + item.name : item.name + " " + item.version;
      table += format("{:<34} {:>10} {:>10}  {}\n", printable(name).substr(0, 34), human_size(item.packed),
                      human_size(item.unpacked), printable(join(item.because, " <- ")));
    }
    s.print(table);
  }

  std::string what_;
  std::string image_;
  std::string html_;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_explain() { return std::make_unique<Explain>(); }

}  // namespace slip::cli
