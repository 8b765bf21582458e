#include "codec/json.h"
#include "command.h"
#include "core/text.h"
#include "image/build.h"
#include "nlohmann/json.hpp"
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
      records.push_back({{"reference", image.reference},
                         {"digest", image.manifest.text()},
                         {"size", size},
                         {"size_unpacked", unpacked},
                         {"built", image.built}});
      table += format("{:<40} {:<19} {:>10} {:>10}\n", image.reference, "sha256:" + image.manifest.brief(),
                      human_size(size), human_size(unpacked));
    }
    s.print(s.json() ? records.dump() : table);
    return 0;
  }
};

}  // namespace

std::unique_ptr<Command> make_images() { return std::make_unique<Images>(); }

}  // namespace slip::cli
