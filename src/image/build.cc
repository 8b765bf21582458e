#include "image/build.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "image/check.h"
#include "image/services.h"
#include "oci/layout.h"
#include "oci/media_types.h"
#include "oci/reference.h"

namespace slip::image {
namespace {

using codec::Json;

constexpr std::string_view kNotes = "image";

/// Every blob of the packages a lock names: gc keeps the inputs of tagged images, so a rebuild fetches nothing.
void add_inputs(const lock::Lock& lock, std::vector<Digest>& blobs) {
  for (const lock::Deb& deb : lock.debs) {
    blobs.push_back(deb.artifact.sha256);
  }
  for (const std::vector<lock::Wheel>* wheels : {&lock.wheels, &lock.build_tools, &lock.tools}) {
    for (const lock::Wheel& w : *wheels) {
      blobs.push_back(w.artifact.sha256);
      if (w.built) {
        blobs.push_back(w.built->sha256);
      }
    }
  }
}

void note_image(const BuildResult& result, const Engine& engine, const lock::Lock& lock,
                const std::vector<LayerPlan>& plan, store::Store& store) {
  ImageNote note;
  note.root = root_key(plan);
  note.trees = engine.tree_keys();
  note.blobs = {result.digest, result.config};
  for (const Layer& layer : result.layers) {
    note.blobs.push_back(layer.encoded.digest);
  }
  add_inputs(lock, note.blobs);
  note.lock = store.put_blob(lock::to_toml(lock));
  note.blobs.push_back(*note.lock);
  note.size = result.size;
  note.size_unpacked = result.size_unpacked;
  set_image_note(store, result.digest, note);
}

oci::Reference reference_of(const spec::Spec& spec, const std::string& tag) {
  return oci::Reference::parse(tag.empty() ? spec.full_name() : tag);
}

}  // namespace

oci::ImageConfig image_config(const spec::Spec& spec, const lock::Lock& lock) {
  oci::ImageConfig config;
  config.created = lock.snapshot;
  config.user = format("{}:{}", kUserId, kUserId);
  for (const auto& [name, value] : image_env(spec)) {
    config.env.push_back(name + "=" + value);
  }
  const bool services = spec.services.jupyter || spec.services.ssh;
  config.entrypoint = {kInitPath};
  if (services) {
    constexpr std::uint64_t kSecond = 1'000'000'000;
    config.healthcheck = {{"CMD", kInitPath, "--health"}, 30 * kSecond, 5 * kSecond, 60 * kSecond, 3};
  } else {
    config.cmd = {"/bin/bash"};
  }
  if (spec.services.jupyter) {
    config.exposed_ports.insert(format("{}/tcp", kJupyterPort));
  }
  if (spec.services.ssh) {
    config.exposed_ports.insert(format("{}/tcp", kSshPort));
  }
  config.working_dir = "/workspace";
  config.labels = {{"dev.slipway.lock", lock::digest(lock).text()},
                   {"dev.slipway.spec", spec::to_json(spec)},
                   {"org.opencontainers.image.title", spec.name}};
  config.stop_signal = "SIGTERM";
  return config;
}

void add_history(oci::ImageConfig& config, const std::vector<Layer>& layers) {
  for (const Layer& layer : layers) {
    oci::History step;
    step.created = config.created;
    step.created_by = format("slipway {} {}", kind_of(layer.plan.recipe), layer.plan.name);
    config.history.push_back(std::move(step));
  }
}

oci::LayerSource layer_source(const Layer& layer, Engine& engine) {
  oci::LayerSource source;
  source.descriptor.media_type =
      layer.compression == codec::Compression::Zstd ? oci::media::kLayerZstd : oci::media::kLayerGzip;
  source.descriptor.digest = layer.encoded.digest;
  source.descriptor.size = layer.encoded.size;
  source.diff_id = layer.encoded.diff_id;
  source.produce = [&engine, &layer](Sink& out) { engine.produce(layer, out); };
  return source;
}

BuildResult assemble(Assembly assembly, const std::vector<LayerPlan>& plan, std::vector<Layer> layers, Engine& engine,
                     const lock::Lock& lock, lock::Context& context) {
  const oci::Reference reference = oci::Reference::parse(assembly.tag);
  std::vector<oci::Output> outputs;
  for (const std::string& output : assembly.outputs) {
    outputs.push_back(oci::Output::parse(output));
  }
  BuildResult result;
  result.reference = reference.text();
  result.layers = std::move(layers);
  result.unchanged = true;
  for (const Layer& layer : result.layers) {
    result.size += layer.encoded.size;
    result.size_unpacked += layer.encoded.size_unpacked;
    result.unchanged = result.unchanged && layer.reused;
  }
  add_history(assembly.config, result.layers);
  std::vector<oci::LayerSource> sources;
  for (const Layer& layer : result.layers) {
    sources.push_back(layer_source(layer, engine));
  }
  const oci::Image image = oci::make_image(std::move(assembly.config), std::move(sources));
  result.config = context.store.put_blob(image.config);
  result.digest = context.store.put_blob(image.manifest);
  note_image(result, engine, lock, plan, context.store);
  context.store.set_tag(result.reference, result.digest);
  for (const oci::Output& output : outputs) {
    Task task(context.events, "Writing", output.path.string());
    oci::write_image(image, output, reference);
    task.succeed();
  }
  return result;
}

BuildResult build(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init, const BuildOptions& options,
                  lock::Context& context) {
  const oci::Reference reference = reference_of(spec, options.tag);
  for (const std::string& output : options.outputs) {
    oci::Output::parse(output);  // a word that is none is refused before the work
  }
  const std::vector<LayerPlan> plan = plan_layers(spec, lock, init);
  Engine engine(lock, plan, context);
  std::vector<Layer> layers = engine.build();
  if (options.check_imports) {
    check_imports(spec, lock, engine, context);
  }
  return assemble({image_config(spec, lock), reference.text(), options.outputs}, plan, std::move(layers), engine, lock,
                  context);
}

std::filesystem::path image_root(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init,
                                 lock::Context& context) {
  const std::vector<LayerPlan> plan = plan_layers(spec, lock, init);
  Engine engine(lock, plan, context);
  return engine.root();
}

void set_image_note(store::Store& store, const Digest& manifest, const ImageNote& note) {
  Json json = {
      {"root", note.root}, {"trees", Json(note.trees)}, {"size", note.size}, {"size_unpacked", note.size_unpacked}};
  json["blobs"] = Json::array();
  for (const Digest& blob : note.blobs) {
    json["blobs"].push_back(blob.hex());
  }
  if (note.lock) {
    json["lock"] = note.lock->hex();
  }
  store.set_record(kNotes, manifest.hex(), codec::dump_canonical(json));
}

std::optional<ImageNote> image_note(const store::Store& store, const Digest& manifest) {
  const auto text = store.record(kNotes, manifest.hex());
  if (!text) {
    return std::nullopt;
  }
  const Json json = Json::parse(*text, nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  ImageNote note;
  note.root = json.at("root").get<std::string>();
  note.trees = json.at("trees").get<std::vector<std::string>>();
  for (const Json& blob : json.at("blobs")) {
    note.blobs.push_back(Digest::from(blob.get<std::string>()));
  }
  note.size = json.at("size").get<std::uint64_t>();
  note.size_unpacked = json.at("size_unpacked").get<std::uint64_t>();
  if (json.contains("lock")) {
    note.lock = Digest::from(json.at("lock").get<std::string>());
  }
  return note;
}

}  // namespace slip::image
