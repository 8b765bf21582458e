#include "image/engine.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "codec/sha256.h"
#include "core/parallel.h"
#include "core/text.h"
#include "image/captured.h"
#include "image/parts.h"
#include "image/steps.h"
#include "image/system.h"
#include "launch/ownership.h"
#include "lock/compression.h"
#include "lock/packages.h"
#include "store/root.h"

namespace slip::image {
namespace {

using codec::FileType;
using codec::LayerItem;
using Items = std::vector<LayerItem>;

constexpr std::string_view kBucket = "layer";

std::string record_of(const codec::EncodedLayer& e) {
  return format("{} {} {} {}", e.digest.hex(), e.diff_id.hex(), e.size, e.size_unpacked);
}

std::optional<codec::EncodedLayer> parse_record(const std::string& text) {
  const auto words = split_words(text);
  if (words.size() != 4) {
    return std::nullopt;
  }
  const auto digest = Digest::parse(words[0]);
  const auto diff_id = Digest::parse(words[1]);
  if (!digest || !diff_id) {
    return std::nullopt;
  }
  return codec::EncodedLayer{*digest, *diff_id, std::stoull(std::string(words[2])), std::stoull(std::string(words[3]))};
}

/// What a layer's bytes depend on: its recipe, which decides what it holds, and the encoder.
std::string layer_key(const LayerPlan& layer, codec::Compression compression) {
  return codec::sha256(format("{}\n{}", key(layer.recipe).hex(), codec::encoder_id(compression))).hex();
}

std::string captured_key(const Recipe& recipe) { return format("layer-{}", key(recipe).hex()); }

/// True for layers made by running something over the merged root of those below.
bool stands_on_root(const Recipe& recipe) {
  return std::holds_alternative<NbextensionsRecipe>(recipe) || std::holds_alternative<RunRecipe>(recipe);
}

bool of_wheels(const Recipe& recipe) { return std::holds_alternative<WheelsRecipe>(recipe); }

Items files_items(const FilesRecipe& recipe, const std::filesystem::path& scratch, const lock::Context& context) {
  Items items;
  for (const ProjectFile& f : recipe.files) {
    LayerItem item;
    item.entry = {f.path, FileType::Regular, f.mode, recipe.owner, recipe.owner, f.size, recipe.epoch, f.link, 0, 0,
                  {}};
    switch (f.kind) {
      case ProjectFile::Kind::File:
        item.content = codec::FileContent{copied(f.source, f.sha256, f.mode, scratch, context)};
        break;
      case ProjectFile::Kind::Folder: item.entry.type = FileType::Directory; break;
      case ProjectFile::Kind::Link: item.entry.type = FileType::Symlink; break;
    }
    items.push_back(std::move(item));
  }
  codec::sort_items(items);
  return items;
}

Items init_items(const InitRecipe& recipe, const std::filesystem::path& scratch, const lock::Context& context) {
  Items items;
  std::string path;
  for (const std::string_view part : {"usr", "lib", "slipway"}) {
    path += (path.empty() ? "" : "/") + std::string(part);
    LayerItem folder;
    folder.entry.path = path;
    folder.entry.type = FileType::Directory;
    folder.entry.mode = 0755;
    items.push_back(std::move(folder));
  }
  LayerItem program;
  program.entry.path = std::string(kInitPath).substr(1);
  program.entry.mode = 0755;
  program.entry.size = std::filesystem::file_size(recipe.source);
  program.content = codec::FileContent{copied(recipe.source, recipe.sha256, 0755, scratch, context)};
  items.push_back(std::move(program));
  codec::sort_items(items);
  return items;
}

}  // namespace

struct Engine::State {
  State(const lock::Lock& l, const std::vector<LayerPlan>& p, lock::Context& c)
      : lock(l), plan(p), context(c), compression(lock::compression_of(l)), items(p.size()) {}

  const lock::Lock& lock;
  const std::vector<LayerPlan>& plan;
  lock::Context& context;
  const codec::Compression compression;
  std::vector<std::optional<Items>> items;          ///< by layer, once made
  std::map<std::string, wheel::WheelInput> wheels;  ///< by name, once fetched
  std::map<std::string, Items> byte_code;           ///< by wheel name, once compiled
  std::optional<wheel::Target> target_value;

  const wheel::Target& target() {
    if (!target_value) {
      target_value = lock::target_of(lock.debs, lock.suite, lock.python, context);
    }
    return *target_value;
  }

  // Wheels: fetched, the sdists among them built, all of them compiled, in one go.
  void ensure_wheels() {
    if (!wheels.empty() || lock.wheels.empty()) {
      return;
    }
    for (const wheel::WheelInput& input : lock::wheel_files(lock, target(), context)) {
      wheels.emplace(lock.wheels[wheels.size()].name, input);
    }
  }

  void ensure_byte_code() {
    ensure_wheels();
    if (!byte_code.empty() || wheels.empty()) {
      return;
    }
    std::vector<wheel::WheelInput> inputs;
    std::vector<std::string> names;
    for (const auto& [name, input] : wheels) {
      inputs.push_back(input);
      names.push_back(name);
    }
    std::vector<Items> compiled = wheel::compile(inputs, target(), context.store, context.id, context.events);
    for (std::size_t i = 0; i < names.size(); ++i) {
      byte_code[names[i]] = std::move(compiled[i]);
    }
  }

  Items deb_items(const DebsRecipe& recipe) {
    lock::fetch_debs(recipe.debs, context);
    Items all;
    if (recipe.skeleton) {
      all = deb::skeleton(recipe.suite);
    }
    std::vector<deb::Unpacked> packages = lock::unpack_debs(recipe.debs, recipe.suite, context);
    deb::settle_overlaps(packages);
    for (deb::Unpacked& package : packages) {
      std::move(package.items.begin(), package.items.end(), std::back_inserter(all));
    }
    codec::sort_items(all);
    return all;
  }

  Items wheel_items(const WheelsRecipe& recipe) {
    ensure_byte_code();  // nothing to do on the threads of build(), which did it before
    Items all;
    for (const lock::Wheel& w : recipe.wheels) {
      wheel::WheelInput input = wheels.at(w.name);
      input.requested = recipe.requested.contains(w.name);
      Items installed = wheel::install(input, target(), context.store, context.id);
      std::move(installed.begin(), installed.end(), std::back_inserter(all));
      const Items& code = byte_code.at(w.name);
      all.insert(all.end(), code.begin(), code.end());
    }
    with_context([] { return std::string("put wheels into one layer"); }, [&] { codec::sort_items(all); });
    return all;
  }

  std::vector<std::string> libraries_of(const SystemRecipe& recipe) {
    std::vector<std::string> paths;
    for (const lock::Wheel& w : recipe.libraries) {
      ensure_wheels();
      const std::vector<std::string> own = wheel::shared_libraries(wheels.at(w.name), target());
      paths.insert(paths.end(), own.begin(), own.end());
    }
    return paths;
  }

  Items captured(const Recipe& recipe, const std::function<Items(const std::filesystem::path& scratch)>& make) {
    const std::filesystem::path folder =
        context.store.ensure_tree(captured_key(recipe), [&](const std::filesystem::path& into) {
          const os::TempDir scratch = context.store.temp_dir("step-");
          save_captured(make(scratch.path()), into);
        });
    return load_captured(folder);
  }

  /// Items of a layer that does not stand on the merged root.
  Items make_items(std::size_t i) {
    const Recipe& recipe = plan[i].recipe;
    if (const auto* debs = std::get_if<DebsRecipe>(&recipe)) {
      return deb_items(*debs);
    }
    if (const auto* configure = std::get_if<ConfigureRecipe>(&recipe)) {
      return captured(
          recipe, [&](const std::filesystem::path& scratch) { return configured_items(*configure, scratch, context); });
    }
    if (const auto* wheel_layer = std::get_if<WheelsRecipe>(&recipe)) {
      return wheel_items(*wheel_layer);
    }
    if (const auto* system = std::get_if<SystemRecipe>(&recipe)) {
      std::vector<Items> lower;
      for (std::size_t below = 0; below < i; ++below) {
        const Recipe& r = plan[below].recipe;
        if (std::holds_alternative<DebsRecipe>(r) || std::holds_alternative<ConfigureRecipe>(r)) {
          lower.push_back(get(below));
        }
      }
      return system_items(*system, lower, system->python.empty() ? wheel::Target{} : target(), libraries_of(*system));
    }
    if (const auto* texts = std::get_if<TextsRecipe>(&recipe)) {
      return texts_items(*texts);
    }
    if (const auto* picked = std::get_if<PickRecipe>(&recipe)) {
      lock::fetch_debs(picked->debs, context);
      return picked_items(*picked, lock::unpack_debs(picked->debs, picked->suite, context));
    }
    if (const auto* extracted = std::get_if<ExtractRecipe>(&recipe)) {
      lock::fetch_wheels({&extracted->wheel, 1}, context);
      return captured(recipe, [&](const std::filesystem::path& scratch) {
        return extracted_items(*extracted, context.store.blob_path(extracted->wheel.artifact.sha256), scratch, context);
      });
    }
    if (const auto* programs = std::get_if<ProgramsRecipe>(&recipe)) {
      return captured(recipe,
                      [&](const std::filesystem::path& scratch) { return program_items(*programs, scratch, context); });
    }
    return captured(recipe, [&](const std::filesystem::path& scratch) {
      const auto* files = std::get_if<FilesRecipe>(&recipe);
      return files != nullptr ? files_items(*files, scratch, context)
                              : init_items(std::get<InitRecipe>(recipe), scratch, context);
    });
  }

  const Items& get(std::size_t i) {
    if (!items[i]) {
      if (stands_on_root(plan[i].recipe)) {
        make_root();
      } else {
        items[i] = make_items(i);
      }
    }
    return *items[i];
  }

  /// Items of a layer that stands on the root `below` of all layers under it.
  Items step_items(std::size_t i, const std::filesystem::path& below) {
    const Recipe& recipe = plan[i].recipe;
    return captured(recipe, [&](const std::filesystem::path& scratch) {
      if (const auto* extensions = std::get_if<NbextensionsRecipe>(&recipe)) {
        return nbextension_items(*extensions, below, scratch, context);
      }
      return run_items(std::get<RunRecipe>(recipe), below, scratch, context);
    });
  }

  std::filesystem::path make_root() {
    const auto with_steps = [&](const std::filesystem::path& into) {
      for (std::size_t i = 0; i < plan.size(); ++i) {
        if (stands_on_root(plan[i].recipe)) {
          items[i] = step_items(i, into);
        }
        const std::vector<Items> one = {get(i)};
        store::write_root(into, one, lock::disk_owner(context), launch::kOwnerRecord);
      }
    };
    const std::filesystem::path root = context.store.ensure_tree(root_key(plan), with_steps);
    for (std::size_t i = 0; i < plan.size(); ++i) {
      if (stands_on_root(plan[i].recipe) && !items[i]) {
        const auto folder = context.store.find_tree(captured_key(plan[i].recipe));
        if (!folder) {
          throw Error(ErrorKind::Corrupt, "the store lost layer `{}` of a finished image", plan[i].name)
              .add_hint("run `slipway gc` and build again");
        }
        items[i] = load_captured(*folder);
      }
    }
    return root;
  }

  codec::EncodedLayer encode(std::size_t i) {
    const Items& all = get(i);
    if (of_wheels(plan[i].recipe) && compression == codec::Compression::Gzip) {
      NullSink nowhere;
      return codec::encode_layer(all, compression, nowhere);
    }
    const os::TempDir folder = context.store.temp_dir("layer-");
    os::AtomicFile file(folder.path() / "blob");
    os::FdSink out(file.fd().get(), "a layer");
    const codec::EncodedLayer encoded = codec::encode_layer(all, compression, out);
    file.commit();
    context.store.adopt_blob(folder.path() / "blob", encoded.digest);
    return encoded;
  }

  [[nodiscard]] std::optional<codec::EncodedLayer> known(const LayerPlan& layer) const {
    const auto text = context.store.record(kBucket, layer_key(layer, compression));
    return text ? parse_record(*text) : std::nullopt;
  }

  /// Brings about what layers read that is no layer of its own. Maintainer scripts run one after another and leave
  /// cores idle: wheels are unpacked and compiled meanwhile. Both stand on the root of unconfigured packages, and only
  /// the wheels use the network.
  void make_shared(const std::vector<std::size_t>& wanted, bool of_wheels) {
    std::vector<std::function<void()>> beside;
    if (of_wheels) {
      target();
      beside.emplace_back([this] { ensure_byte_code(); });
    }
    std::vector<std::size_t> afterwards;
    for (const std::size_t i : wanted) {
      const Recipe& recipe = plan[i].recipe;
      if (std::holds_alternative<ConfigureRecipe>(recipe)) {
        beside.emplace_back([this, i] { get(i); });
      } else if (std::holds_alternative<SystemRecipe>(recipe) || std::holds_alternative<ExtractRecipe>(recipe)) {
        afterwards.push_back(i);
      }
    }
    parallel_for(beside.size(), context.config.jobs, [&](std::size_t n) { beside[n](); });
    for (const std::size_t i : afterwards) {
      get(i);
    }
  }

  void make_layer(std::size_t i, std::vector<Layer>& layers) {
    Task task(context.events, "Building", format("layer {}", plan[i].name));
    layers[i].encoded = encode(i);
    context.store.set_record(kBucket, layer_key(plan[i], compression), record_of(layers[i].encoded));
    task.succeed();
  }
};

Engine::Engine(const lock::Lock& lock, const std::vector<LayerPlan>& plan, lock::Context& context)
    : state_(std::make_unique<State>(lock, plan, context)) {}
Engine::~Engine() = default;

std::vector<Layer> Engine::build() {
  State& s = *state_;
  std::vector<Layer> layers(s.plan.size());
  std::vector<std::size_t> alone;
  std::vector<std::size_t> stacked;
  bool wheels = false;
  for (std::size_t i = 0; i < s.plan.size(); ++i) {
    layers[i].plan = s.plan[i];
    layers[i].compression = s.compression;
    if (const auto encoded = s.known(s.plan[i])) {
      layers[i].encoded = *encoded;
      layers[i].reused = true;
    } else if (stands_on_root(s.plan[i].recipe)) {
      stacked.push_back(i);
    } else {
      wheels = wheels || of_wheels(s.plan[i].recipe);
      alone.push_back(i);
    }
  }
  // What several layers read, and everything that uses the network, is made before their threads start.
  if (!alone.empty()) {
    lock::fetch_debs(s.lock.debs, s.context);
  }
  s.make_shared(alone, wheels);
  parallel_for(alone.size(), s.context.config.jobs, [&](std::size_t n) { s.make_layer(alone[n], layers); });
  for (const std::size_t i : stacked) {
    s.make_layer(i, layers);
  }
  return layers;
}

std::filesystem::path Engine::root() {
  State& s = *state_;
  if (const auto found = s.context.store.find_tree(root_key(s.plan))) {
    return *found;
  }
  if (std::any_of(s.plan.begin(), s.plan.end(), [](const LayerPlan& p) { return of_wheels(p.recipe); })) {
    s.ensure_byte_code();
  }
  Task task(s.context.events, "Linking", "the image's root");
  const std::filesystem::path root = s.make_root();
  task.succeed();
  return root;
}

void Engine::prepare() {
  if (std::any_of(state_->plan.begin(), state_->plan.end(), [](const LayerPlan& p) { return of_wheels(p.recipe); })) {
    state_->ensure_byte_code();
    state_->target();
  }
}

std::optional<codec::EncodedLayer> Engine::known(const LayerPlan& layer) const { return state_->known(layer); }

void Engine::produce(const Layer& layer, Sink& out) {
  State& s = *state_;
  if (s.context.store.has_blob(layer.encoded.digest)) {
    const os::Fd blob = os::open_read(s.context.store.blob_path(layer.encoded.digest));
    os::FdSource source(blob.get(), "layer " + layer.plan.name);
    copy_all(source, out);
    return;
  }
  if (of_wheels(layer.plan.recipe)) {
    s.ensure_byte_code();
  }
  const auto at =
      std::find_if(s.plan.begin(), s.plan.end(), [&](const LayerPlan& p) { return p.name == layer.plan.name; });
  try {
    codec::encode_again(s.get(static_cast<std::size_t>(at - s.plan.begin())), s.compression, layer.encoded, out);
  } catch (Error& error) {
    if (error.kind() == ErrorKind::Corrupt) {
      error.add_context(format("make layer `{}` again", layer.plan.name)).add_hint("run `slipway gc` and build again");
    }
    throw;
  }
}

const std::vector<codec::LayerItem>& Engine::items(std::size_t layer) { return state_->get(layer); }

std::vector<std::string> Engine::tree_keys() const {
  std::vector<std::string> keys = {root_key(state_->plan)};
  for (const LayerPlan& layer : state_->plan) {
    if (!of_wheels(layer.recipe) && !std::holds_alternative<DebsRecipe>(layer.recipe) &&
        !std::holds_alternative<SystemRecipe>(layer.recipe) && !std::holds_alternative<TextsRecipe>(layer.recipe) &&
        !std::holds_alternative<PickRecipe>(layer.recipe)) {
      keys.push_back(captured_key(layer.recipe));
    }
  }
  return keys;
}

std::string root_key(const std::vector<LayerPlan>& plan) { return format("root-{}", key_of_all(plan).hex()); }

}  // namespace slip::image
