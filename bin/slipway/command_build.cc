#include <chrono>
#include <nlohmann/json.hpp>

#include "built.h"
#include "command.h"
#include "core/error.h"
#include "image/build.h"
#include "inspect/bundle.h"
#include "options.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

class Build final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Builds the image that slipway.lock describes. The same lock gives the same digest on every machine, for every "
        "user, "
        "at any time. Layers that are known already are not made again.\n\n"
        "Outputs: `oci:DIR[:TAG]` (an OCI layout), `oci-archive:FILE`, `docker-archive:FILE` (for `docker load`).");
    o.value("file", 'f', "FILE", file_, "the spec").fallback("slipway.yaml here or in a folder above").file();
    o.value("variant", "NAME", variant_, "build a variant of the spec");
    o.value("tag", 't', "REF", tag_, "what to call the image").fallback("the spec's name");
    o.value("output", 'o', "KIND:PATH", outputs_, "also write the image there (may be repeated)");
    declare_compression(o, compression_);
    o.value("bundle", "FILE", bundle_, "build what `slipway bundle` wrote, from the inputs in it; needs no checkout")
        .file();
    o.flag("no-import-check", no_import_check_, "do not import what was asked for at the end");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway build", "build and tag it with the spec's name");
    o.example("slipway build --output docker-archive:image.tar", "write a file for `docker load`");
  }

  int run(Session& s) override {
    const auto start = std::chrono::steady_clock::now();
    const image::BuildResult built = bundle_.empty() ? build_project(s) : build_bundle(s);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (s.json()) {
      s.print(record_of(built, seconds).dump());
      return 0;
    }
    s.say(built_line("Built", built, seconds));
    s.print(built.digest.text());
    return 0;
  }

 private:
  image::BuildResult build_project(Session& s) {
    const Project project = open_project(file_, variant_);
    const image::InitProgram init = find_init();
    const lock::Lock lock = compressed(require_lock(project, init), compression_);
    const image::BuildOptions options{tag_, outputs_, !no_import_check_};
    return image::build(project.spec, lock, init, options, s.context(offline_));
  }

  image::BuildResult build_bundle(Session& s) {
    if (!outputs_.empty() || !variant_.empty() || !file_.empty() || !compression_.empty()) {
      throw Error(ErrorKind::Usage, "--bundle takes neither --file, --variant, --compression nor --output")
          .add_hint("the bundle itself is an OCI archive");
    }
    return inspect::build_bundle(bundle_, tag_, s.context(offline_));
  }

  std::string bundle_;
  std::string file_;
  std::string variant_;
  std::string tag_;
  std::string compression_;
  std::vector<std::string> outputs_;
  bool no_import_check_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_build() { return std::make_unique<Build>(); }

}  // namespace slip::cli
