#include "command.h"
#include "oci/reference.h"
#include "options.h"
#include "remotes.h"
#include "session.h"

namespace slip::cli {
namespace {

class Tag final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Gives an image of the store a further name. A name with a registry in it is where `slipway push` takes the "
        "image.");
    o.arg("REF", from_, "an image").required();
    o.arg("NEW", to_, "the further name").required();
    o.example("slipway tag tf29-dev registry.example.com/team/tf29-dev:2026-05", "before a push");
    o.example("slipway tag tf29-dev tf29-dev:good", "keep it when the next build takes the name");
  }

  int run(Session& s) override {
    const oci::Reference to = oci::Reference::parse(to_);
    s.store().set_tag(to.text(), require_image(s, oci::Reference::parse(from_).text()));
    s.say(format("Tagged {}", to.text()));
    return 0;
  }

 private:
  std::string from_;
  std::string to_;
};

}  // namespace

std::unique_ptr<Command> make_tag() { return std::make_unique<Tag>(); }

}  // namespace slip::cli
