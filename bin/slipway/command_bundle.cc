#include <nlohmann/json.hpp>

#include "command.h"
#include "core/count.h"
#include "core/text.h"
#include "inspect/bundle.h"
#include "oci/reference.h"
#include "options.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

class Bundle final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Writes an image and every file that its lock names (packages, sources, tools) as one OCI archive: what a "
        "machine "
        "without a network needs to build the image again. Other tools see an archive with one image.\n\n"
        "The bytes depend on the image and its name alone.");
    o.arg("FILE", file_, "the archive to write").required().file();
    o.value("image", 'i', "REF", image_, "the image: of the store, `oci:DIR[:TAG]`, `oci-archive:FILE`")
        .fallback("the image of the project here");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway bundle tf29.tar", "the project's image with all its inputs");
    o.example("slipway build --bundle tf29.tar --offline", "build it again on a machine without a network");
  }

  int run(Session& s) override {
    const std::string name = image_.empty() ? open_project("", "").spec.name : image_;
    lock::Context& context = s.context(offline_);
    const inspect::Subject subject = inspect::Subject::open(name, context);
    const std::string called = inspect::as_file(name) ? subject.title() : name;
    const inspect::BundleResult result = inspect::write_bundle(subject, file_, oci::Reference::parse(called), context);
    if (s.json()) {
      s.print(nlohmann::json{
          {"file", file_}, {"digest", subject.digest().text()}, {"inputs", result.inputs}, {"size", result.size}}
                  .dump());
      return 0;
    }
    s.say(format("Packed {}: the image, {}, {}", file_, counted(result.inputs, "input"), human_size(result.size)));
    return 0;
  }

 private:
  std::string file_;
  std::string image_;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_bundle() { return std::make_unique<Bundle>(); }

}  // namespace slip::cli
