#include "codec/json.h"
#include "command.h"
#include "core/error.h"
#include "core/suggest.h"
#include "nlohmann/json.hpp"
#include "oci/reference.h"
#include "options.h"
#include "session.h"

namespace slip::cli {
namespace {

class Remove final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Takes an image's name away. Its layers and packages stay in the store until `slipway gc`.");
    o.args("REF", references_, "names of images").required();
    o.json();
    o.example("slipway rm tf29-dev", "forget tf29-dev:latest");
    o.example("slipway rm tf29-dev:old && slipway gc", "and free its disk space");
  }

  int run(Session& s) override {
    codec::Json removed = codec::Json::array();
    for (const std::string& text : references_) {
      const std::string reference = oci::Reference::parse(text).text();
      if (!s.store().remove_tag(reference)) {
        throw missing(s, reference);
      }
      removed.push_back(reference);
      if (!s.json()) {
        s.say(format("Removed {}", reference));
      }
    }
    if (s.json()) {
      s.print(codec::Json{{"removed", removed}}.dump());
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

}  // namespace

std::unique_ptr<Command> make_rm() { return std::make_unique<Remove>(); }

}  // namespace slip::cli
