#include <set>

#include "codec/json.h"
#include "command.h"
#include "core/count.h"
#include "core/text.h"
#include "image/build.h"
#include "nlohmann/json.hpp"
#include "options.h"
#include "session.h"

namespace slip::cli {
namespace {

class Collect final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Frees the disk space of everything that no image of the store needs: packages, layers and unpacked files of "
        "images that were removed or built anew, and leftovers of runs that were killed. What named images were made "
        "from stays, so that building them again downloads nothing.");
    o.flag("verify", verify_, "read every stored file first and remove what the disk has damaged; it is fetched or made again");
    o.json();
    o.example("slipway gc", "free what is no longer needed");
    o.example("slipway rm old-image && slipway gc", "remove an image with its files");
    o.example("slipway gc --verify", "after a disk fault: find what was damaged");
  }

  int run(Session& s) override {
    const std::size_t damaged = verify_ ? remove_damaged(s) : 0;
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
      codec::Json record{{"blobs", freed.blobs}, {"trees", freed.trees}, {"bytes", freed.bytes}};
      if (verify_) {
        record["damaged"] = damaged;
      }
      s.print(record.dump());
      return 0;
    }
    s.say(format("Removed {} and {}, {}", counted(freed.blobs, "file"), counted(freed.trees, "unpacked tree"),
                 human_size(freed.bytes)));
    return 0;
  }

 private:
  static std::size_t remove_damaged(Session& s) {
    const std::vector<Digest> damaged = s.store().remove_damaged();
    for (const Digest& digest : damaged) {
      s.say(format("Removed {}: its bytes are not those of its digest", digest.text()));
    }
    s.say(format("Verified the store: {} damaged", counted(damaged.size(), "file")));
    return damaged.size();
  }

  bool verify_ = false;
};

}  // namespace

std::unique_ptr<Command> make_gc() { return std::make_unique<Collect>(); }

}  // namespace slip::cli
