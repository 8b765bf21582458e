#include "codec/json.h"
#include "command.h"
#include "nlohmann/json.hpp"
#include "oci/reference.h"
#include "options.h"
#include "remotes.h"
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
      require_image(s, reference);
      s.store().remove_tag(reference);
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
  std::vector<std::string> references_;
};

}  // namespace

std::unique_ptr<Command> make_rm() { return std::make_unique<Remove>(); }

}  // namespace slip::cli
