#include <chrono>
#include <nlohmann/json.hpp>

#include "built.h"
#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "model/runtime.h"
#include "model/ship.h"
#include "options.h"
#include "os/file.h"
#include "project.h"
#include "session.h"

namespace slip::cli {
namespace {

namespace fs = std::filesystem;

class Ship final : public Command {
 public:
  void declare(Options& o) override {
    o.about(
        "Makes an image that serves a SavedModel and holds nothing else: TensorFlow's own libraries, slipway-serve, "
        "the "
        "few system files they need, the model. No Python, no shell, no package manager; an ordinary user on a "
        "read-only system.");
    o.arg("DIR", folder_, "a SavedModel, or a folder of numbered versions of one: the newest is taken")
        .required()
        .file();
    o.value("tag", 't', "REF", tag_, "what to call the image").fallback("the model's name and version");
    o.value("name", 'n', "NAME", name_, "what clients call the model").fallback("the folder's name");
    o.value("lock", "FILE", lock_, "the slipway.lock that it was trained with: its TensorFlow is what serves it")
        .fallback("TensorFlow 2.9.0")
        .file();
    o.value("runtime", "FILE", runtime_, "a runtime lock of your own")
        .fallback("the one that ships with slipway")
        .file();
    o.flag("update", update_, "first write the runtime lock anew, with the packages that the archive offers now");
    o.value("output", 'o', "KIND:PATH", outputs_,
            "also write the image there, as `slipway build` does (may be repeated)");
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway ship ./model --tag churn:1", "an image that serves one model");
    o.example("slipway ship ./models/churn --lock slipway.lock",
              "the newest version, on the TensorFlow it was trained with");
  }

  int run(Session& s) override {
    const auto start = std::chrono::steady_clock::now();
    model::ShipInput input;
    input.model = model::open_saved_model(folder_, name_);
    input.programs = {find_init(), {}, {}};
    std::tie(input.programs.serve, input.programs.serve_sha256) = find_program("slipway-serve", "SLIPWAY_SERVE");
    lock::Context& context = s.context(offline_);
    input.runtime = model::with_tensorflow(runtime(s, input.programs.init.sha256, context), tensorflow());
    const model::ShipPlan plan = model::plan_ship(input, context);
    image::Engine engine(plan.lock, plan.layers, context);
    std::vector<image::Layer> layers = engine.build();
    engine.root();
    const std::string tag = tag_.empty() ? to_lower(input.model.name) + ":" + input.model.version : tag_;
    const image::BuildResult built =
        image::assemble({plan.config, tag, outputs_}, plan.layers, std::move(layers), engine, plan.lock, context);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (s.json()) {
      s.print(record_of(built, seconds).dump());
      return 0;
    }
    s.say(built_line("Shipped", built, seconds));
    s.print(built.digest.text());
    return 0;
  }

 private:
  [[nodiscard]] std::string tensorflow() const {
    if (lock_.empty()) {
      return std::string(model::kDefaultTensorflow);
    }
    return model::tensorflow_of(lock::from_toml(os::read_file(lock_), lock_), lock_);
  }

  /// The runtime lock asked for; with --update written anew first.
  lock::Lock runtime(Session& s, const Digest& init, lock::Context& context) const {
    const auto own = runtime_.empty() ? std::nullopt : os::read_file_if_any(runtime_);
    if (!runtime_.empty() && !own && !update_) {
      throw Error(ErrorKind::NotFound, "there is no runtime lock `{}`", runtime_)
          .add_hint("add `--update` to write it");
    }
    lock::Lock lock = model::parse_runtime(own ? *own : model::kRuntimeLock, own ? runtime_ : "runtime.lock", init);
    if (!update_) {
      return lock;
    }
    if (runtime_.empty()) {
      throw Error(ErrorKind::Usage, "--update needs a file to write to").add_hint("name one with `--runtime FILE`");
    }
    lock = model::updated(lock, context);
    os::write_file(runtime_, model::runtime_text(lock));
    s.say(format("Locked {} for the runtime in {}", counted(lock.debs.size(), "package"), runtime_));
    return lock;
  }

  std::string folder_;
  std::string tag_;
  std::string name_;
  std::string lock_;
  std::string runtime_;
  std::vector<std::string> outputs_;
  bool update_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_ship() { return std::make_unique<Ship>(); }

}  // namespace slip::cli
