#include <charconv>
#include <chrono>
#include <nlohmann/json.hpp>

#include "built.h"
#include "command.h"
#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "findings.h"
#include "model/compare.h"
#include "model/prove.h"
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
        "read-only system.\n\n"
        "What cannot be served is refused with its reason: operations that the runtime does not have, a graph that is "
        "newer, missing variables. Before it is done, the image is started without a network, waits until the model's "
        "own warm-up requests have run, and answers a request for every signature; where the workspace image of "
        "`--lock` "
        "is in the store, Python's TensorFlow must give the same numbers.");
    o.arg("DIR", folder_, "a SavedModel, or a folder of numbered versions of one").required().file();
    o.value("versions", "N", versions_, "how many of the numbered versions, the newest first, or `all`: each is served")
        .fallback("1");
    o.value("tag", 't', "REF", tag_, "what to call the image").fallback("the model's name and version");
    o.value("name", 'n', "NAME", name_, "what clients call the model").fallback("the folder's name");
    o.value("lock", "FILE", lock_, "the slipway.lock that it was trained with: its TensorFlow is what serves it")
        .fallback("TensorFlow 2.9.0")
        .file();
    o.value("runtime", "FILE", runtime_, "a runtime lock of your own")
        .fallback("the one that ships with slipway")
        .file();
    o.flag("update", update_, "first write the runtime lock anew, with the packages that the archive offers now");
    o.value("request", 'r', "FILE", requests_, "also prove it with this REST request for `:predict` (may be repeated)");
    o.value("output", 'o', "KIND:PATH", outputs_,
            "also write the image there, as `slipway build` does (may be repeated)");
    declare_compression(o, compression_);
    o.flag("offline", offline_, "use only what the store holds");
    o.json();
    o.example("slipway ship ./model --tag churn:1", "an image that serves one model");
    o.example("slipway ship ./models/churn --lock slipway.lock",
              "the newest version, on the TensorFlow it was trained with");
  }

  int run(Session& s) override {
    const auto start = std::chrono::steady_clock::now();
    model::ShipInput input;
    input.models = model::open_versions(folder_, name_, count_of(versions_));
    const model::SavedModel& newest = input.models.back();
    input.programs = {find_init(), {}, {}};
    std::tie(input.programs.serve, input.programs.serve_sha256) = find_program("slipway-serve", "SLIPWAY_SERVE");
    lock::Context& context = s.context(offline_);
    input.runtime =
        compressed(model::with_tensorflow(runtime(s, input.programs.init.sha256, context), tensorflow()), compression_);
    const std::optional<Training> training = trained_in(s);
    input.training = training ? training->digest : "";
    say_signatures(s, input.models);
    const model::ShipPlan plan = model::plan_ship(input, context);
    image::Engine engine(plan.lock, plan.layers, context);
    const fs::path root = engine.root();
    std::vector<Finding> findings;
    for (const model::SavedModel& version : input.models) {
      findings = model::check_model(version, model::facts_of(plan, root, context));
      model::refuse_unless_ok(version, findings);
    }
    prove(s, input.models, root, training, findings, context);
    std::vector<image::Layer> layers = engine.build();
    const std::string tag = tag_.empty() ? to_lower(newest.name) + ":" + newest.version : tag_;
    const image::BuildResult built =
        image::assemble({plan.config, tag, outputs_}, plan.layers, std::move(layers), engine, plan.lock, context);
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    if (s.json()) {
      nlohmann::json record = record_of(built, seconds);
      record["signatures"] = nlohmann::json::parse(plan.config.labels.at(model::kModelLabel)).at("signatures");
      add_features(record["signatures"], newest.graph);
      record["model"] = {{"name", newest.name}, {"version", newest.version}};
      for (const model::SavedModel& version : input.models) {
        record["model"]["versions"].push_back(version.version);
      }
      record["runtime"] = {{"tensorflow", plan.lock.wheels.at(0).version},
                           {"slipway-serve", input.programs.serve_sha256.text()}};
      record["checks"] = to_json(findings);
      s.print(record.dump());
      return 0;
    }
    s.say(built_line("Shipped", built, seconds));
    say_saved(s, plan, root, training);
    s.print(built.digest.text());
    return 0;
  }

 private:
  /// The workspace image that the lock of `--lock` describes, where the store has it.
  struct Training {
    lock::Lock lock;
    std::string name;
    std::string digest;
    fs::path root;
  };

  std::optional<Training> trained_in(Session& s) const {
    if (lock_.empty() || !fs::exists(fs::absolute(lock_).parent_path() / "slipway.yaml")) {
      return std::nullopt;
    }
    const Project project = open_project(fs::absolute(lock_).parent_path().string(), "");
    if (!project.lock || fs::weakly_canonical(project.lock_file) != fs::weakly_canonical(fs::absolute(lock_))) {
      return std::nullopt;
    }
    const std::string key = image::root_key(image::plan_layers(project.spec, *project.lock, find_init()));
    const auto root = s.store().find_tree(key);
    if (!root) {
      return std::nullopt;
    }
    Training training{*project.lock, project.spec.name, "", *root};
    for (const store::Store::Image& image : s.store().images()) {
      const auto note = image::image_note(s.store(), image.manifest);
      if (note && note->root == key) {
        training.digest = image.manifest.text();
      }
    }
    return training;
  }

  /// 0: all.
  static std::size_t count_of(const std::string& text) {
    if (text.empty() || text == "all") {
      return text.empty() ? 1 : 0;
    }
    std::size_t count = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, count);
    if (error != std::errc{} || stop != end || count == 0) {
      throw Error(ErrorKind::Usage, "--versions takes a number or `all`, not `{}`", printable(text))
          .add_hint("`--versions 2` ships the two newest");
    }
    return count;
  }

  static void say_signatures(Session& s, const std::vector<model::SavedModel>& versions) {
    const model::SavedModel& model = versions.back();
    s.say(format("Read {} version {}: {}{}", model.name, model.version,
                 counted(model.graph.signatures.size(), "signature"),
                 versions.size() == 1 ? "" : format("; with it {} before", counted(versions.size() - 1, "version"))));
    for (const auto& [name, signature] : model.graph.signatures) {
      const auto listed = [](const std::map<std::string, serving::TensorInfo>& tensors) {
        std::vector<std::string> parts;
        for (const auto& [alias, tensor] : tensors) {
          parts.push_back(alias + ": " + model::text_of(tensor));
        }
        return join(parts, ", ");
      };
      s.say(format("  {}({}) -> {}", name, listed(signature.inputs), listed(signature.outputs)));
      if (const auto parsed = model.graph.parsed.find(name); parsed != model.graph.parsed.end()) {
        say_features(s, parsed->second);
      }
    }
  }

  static void say_features(Session& s, const model::ParsedInputs& parsed) {
    for (const auto& [alias, features] : parsed) {
      std::vector<std::string> parts;
      for (const model::Feature& feature : features) {
        parts.push_back(printable(feature.name) + ": " + model::text_of(feature));
      }
      s.say(format("    {}: tf.Example with {}", alias, join(parts, "; ")));
    }
  }

  /// Adds to the signatures of the record which features their inputs are parsed for.
  static void add_features(nlohmann::json& signatures, const model::MetaGraph& graph) {
    for (const auto& [name, parsed] : graph.parsed) {
      for (const auto& [alias, features] : parsed) {
        nlohmann::json& list = signatures[name]["inputs"][alias]["features"] = nlohmann::json::array();
        for (const model::Feature& feature : features) {
          list.push_back({{"name", printable(feature.name)},
                          {"dtype", serving::proto_name_of(feature.type)},
                          {"shape", feature.any_number ? nlohmann::json() : nlohmann::json(feature.shape)}});
        }
      }
    }
  }

  void prove(Session& s, const std::vector<model::SavedModel>& versions, const fs::path& root,
             const std::optional<Training>& training, std::vector<Finding>& findings, lock::Context& context) const {
    const model::SavedModel& model = versions.back();
    std::vector<std::string> requests;
    for (const std::string& file : requests_) {
      requests.push_back(os::read_file(file));
    }
    model::Proof proof = model::prove(versions, root, requests, {fs::read_symlink("/proc/self/exe"), "ask"}, context);
    if (training && !proof.exchanges.empty()) {
      const fs::path inside = root / std::string(model::kModels).substr(1) / model.name / model.version;
      proof.findings.push_back(model::compare_with_python(proof.exchanges, inside, training->root, context));
    }
    findings.insert(findings.end(), proof.findings.begin(), proof.findings.end());
    for (const Finding& f : proof.findings) {
      if (!f.ok) {
        throw Error(ErrorKind::Invalid, "the image of model `{}` fails its proof: {}: {}", model.name, f.id, f.found)
            .add_hint(f.hint.empty() ? "run it again with `-v`" : f.hint);
      }
      if (f.exception.empty()) {
        s.say(format("  {}: {}", f.title, f.found));
      } else {
        s.events().warn("{} ({}): {}", f.id, f.found, f.exception);
      }
    }
  }

  struct Contents {
    std::size_t files = 0;
    std::uint64_t bytes = 0;
  };

  static Contents contents_of(const fs::path& root) {
    Contents contents;
    for (const fs::directory_entry& entry : fs::recursive_directory_iterator(root)) {
      if (entry.is_symlink() || !entry.is_regular_file()) {
        continue;  // as `slipway diff` counts
      }
      ++contents.files;
      contents.bytes += entry.file_size();
    }
    return contents;
  }

  static void say_saved(Session& s, const model::ShipPlan& plan, const fs::path& root,
                        const std::optional<Training>& training) {
    const std::size_t packages = plan.lock.debs.size() + plan.lock.wheels.size();
    const Contents ours = contents_of(root);
    const std::string ports = format("ports {} and {}", model::kRestPort, model::kGrpcPort);
    if (!training) {
      s.say(format("  {}, {}, {}", counted(packages, "package"), counted(ours.files, "file"), ports));
      return;
    }
    const Contents theirs = contents_of(training->root);
    s.say(format("  against {}: {} instead of {}, {} packages instead of {}, {} files instead of {}; {}",
                 training->name, human_size(ours.bytes), human_size(theirs.bytes), packages,
                 training->lock.debs.size() + training->lock.wheels.size(), ours.files, theirs.files, ports));
  }

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
  std::string versions_;
  std::string lock_;
  std::string runtime_;
  std::string compression_;
  std::vector<std::string> requests_;
  std::vector<std::string> outputs_;
  bool update_ = false;
  bool offline_ = false;
};

}  // namespace

std::unique_ptr<Command> make_ship() { return std::make_unique<Ship>(); }

}  // namespace slip::cli
