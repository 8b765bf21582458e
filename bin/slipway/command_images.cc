#include <set>

#include "codec/json.h"
#include "command.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "image/build.h"
#include "nlohmann/json.hpp"
#include "oci/reference.h"
#include "options.h"
#include "session.h"

namespace slip::cli {
namespace {

class Images final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Lists the images of this user's store.");
    o.json();
    o.example("slipway images", "what was built or pulled here");
    o.example("slipway images --json", "the same for scripts");
  }

  int run(Session& s) override {
    codec::Json records = codec::Json::array();
    std::string table = format("{:<40} {:<19} {:>10} {:>10}\n", "REFERENCE", "DIGEST", "SIZE", "UNPACKED");
    for (const store::Store::Image& image : s.store().images()) {
      const auto note = image::image_note(s.store(), image.manifest);
      const std::uint64_t size = note ? note->size : 0;
      const std::uint64_t unpacked = note ? note->size_unpacked : 0;
      records.push_back({{"reference", image.reference}, {"digest", image.manifest.text()}, {"size", size}, {"size_unpacked", unpacked}, {"built", image.built}});
      table += format("{:<40} {:<19} {:>10} {:>10}\n", image.reference, "sha256:" + image.manifest.brief(), human_size(size), human_size(unpacked));
    }
    s.print(s.json() ? records.dump() : table);
    return 0;
  }
};

class Remove final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Takes an image's name away. Its layers and packages stay in the store until `slipway gc`.");
    o.args("REF", references_, "names of images").required();
    o.example("slipway rm tf29-dev", "forget tf29-dev:latest");
    o.example("slipway rm tf29-dev:old && slipway gc", "and free its disk space");
  }

  int run(Session& s) override {
    for (const std::string& text : references_) {
      const std::string reference = oci::Reference::parse(text).text();
      if (!s.store().remove_tag(reference)) {
        throw missing(s, reference);
      }
      s.say(format("Removed {}", reference));
    }
    return 0;
  }

 private:
  static Error missing(Session& s, const std::string& reference) {
    Error error(ErrorKind::NotFound, "there is no image `{}`", reference);
    std::vector<std::string> known;
    for (const store::Store::Image& image : s.store().images()) {
      known.push_back(image.reference);
    }
    if (const auto near = nearest(reference, known)) {
      error.add_hint(format("did you mean `{}`?", *near));
    } else {
      error.add_hint("`slipway images` lists what there is");
    }
    return error;
  }

  std::vector<std::string> references_;
};

class Collect final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Frees the disk space of everything that no image of the store needs: packages, layers and unpacked files of images that "
        "were removed or built anew, and leftovers of runs that were killed. What named images were made from stays, so that "
        "building them again downloads nothing.");
    o.json();
    o.example("slipway gc", "free what is no longer needed");
    o.example("slipway rm old-image && slipway gc", "remove an image with its files");
  }

  int run(Session& s) override {
    std::set<Digest> blobs;
    std::set<std::string> trees;
    for (const store::Store::Image& image : s.store().images()) {
      blobs.insert(image.manifest);
      if (const auto note = image::image_note(s.store(), image.manifest)) {
        blobs.insert(note->blobs.begin(), note->blobs.end());
        trees.insert(note->trees.begin(), note->trees.end());
      }
    }
    const store::Store::Freed freed = s.store().gc([&](const Digest& blob) { return blobs.contains(blob); },
                                                   [&](const std::string& tree) { return trees.contains(tree); },
                                                   [&] { s.say("Waiting for other runs of slipway to finish"); });
    if (s.json()) {
      s.print(codec::Json{{"blobs", freed.blobs}, {"trees", freed.trees}, {"bytes", freed.bytes}}.dump());
      return 0;
    }
    s.say(format("Removed {} files and {} unpacked trees, {}", freed.blobs, freed.trees, human_size(freed.bytes)));
    return 0;
  }
};

}  // namespace

std::unique_ptr<Command> make_images() { return std::make_unique<Images>(); }
std::unique_ptr<Command> make_rm() { return std::make_unique<Remove>(); }
std::unique_ptr<Command> make_gc() { return std::make_unique<Collect>(); }

}  // namespace slip::cli
