#include "inspect/subject.h"

#include <algorithm>

#include <nlohmann/json.hpp>

#include "codec/compress.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "image/model_image.h"
#include "image/plan.h"
#include "inspect/rebuild.h"
#include "oci/layout.h"
#include "oci/reference.h"
#include "os/file.h"

namespace slip::inspect {

namespace fs = std::filesystem;

struct Subject::State {
  explicit State(lock::Context& c) : context(c) {}

  lock::Context& context;
  std::string name;
  Digest digest;
  std::string manifest_text;
  std::string config_text;
  oci::Manifest manifest;
  oci::ImageConfig config;
  std::optional<spec::Spec> spec;
  std::optional<lock::Lock> lock;
  std::optional<ServedModel> model;
  std::vector<std::string> names;
  std::vector<std::string> kinds;
  std::unique_ptr<os::TempDir> unpacked;  ///< of an archive
  std::optional<oci::Layout> layout;      ///< absent: the store has the blobs
  std::unique_ptr<Rebuild> rebuild;       ///< for layers whose blob was never kept; made at need
  bool rebuilding = false;                ///< it is being made out of layers whose blobs must be there

  [[nodiscard]] fs::path blob_file(const Digest& blob) const {
    if (layout) {
      return layout->blob_path(blob);
    }
    return context.store.has_blob(blob) ? context.store.blob_path(blob) : fs::path();
  }
};

namespace {

constexpr std::string_view kCreatedBy = "slipway ";

Digest find_in_store(const std::string& text, const store::Store& store) {
  const oci::Reference reference = oci::Reference::parse(text);
  if (reference.digest) {
    return *reference.digest;
  }
  if (const auto digest = store.resolve(reference.text())) {
    return *digest;
  }
  std::vector<std::string> known;
  for (const store::Store::Image& image : store.images()) {
    known.push_back(image.reference);
  }
  Error error(ErrorKind::NotFound, "the store has no image `{}`", reference.text());
  if (const auto near = nearest(reference.text(), known)) {
    error.add_hint(format("did you mean `{}`?", *near));
  } else {
    error.add_hint("`slipway images` lists what there is; `oci:DIR` and `oci-archive:FILE` name an image elsewhere");
  }
  throw error;
}

/// nullopt: not what `ship` writes.
std::optional<ServedModel> served_by(const std::string& label) {
  using codec::Json;
  const Json json = Json::parse(label, nullptr, false);
  if (!json.is_object() || !json.contains("name") || !json["name"].is_string() || !json.contains("versions") ||
      !json["versions"].is_array() || !json.contains("slipway-serve") || !json["slipway-serve"].is_string()) {
    return std::nullopt;
  }
  const auto serve = Digest::parse(json["slipway-serve"].get<std::string>());
  ServedModel model{json["name"].get<std::string>(), {}, serve.value_or(Digest{}), label};
  for (const Json& version : json["versions"]) {
    if (!version.is_string()) {
      return std::nullopt;
    }
    model.versions.push_back(version.get<std::string>());
  }
  return serve && !model.name.empty() && model.name.find('/') == std::string::npos && model.name.front() != '.'
             ? std::optional(std::move(model))
             : std::nullopt;
}

/// "slipway debs base" of the history gives kind and name of a layer.
void name_layers(const oci::ImageConfig& config, std::size_t layers, std::vector<std::string>& names,
                 std::vector<std::string>& kinds) {
  for (const oci::History& step : config.history) {
    if (step.empty_layer || names.size() == layers) {
      continue;
    }
    const auto words = split_words(step.created_by);
    const bool ours = step.created_by.starts_with(kCreatedBy) && words.size() == 3;
    names.push_back(ours ? std::string(words[2]) : format("layer {}", names.size() + 1));
    kinds.push_back(ours ? std::string(words[1]) : std::string());
  }
  while (names.size() < layers) {
    names.push_back(format("layer {}", names.size() + 1));
    kinds.emplace_back();
  }
}

/// Passes bytes on and hashes them.
class HashSource final : public Source {
 public:
  explicit HashSource(Source& from) : from_(from) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    const std::size_t got = from_.read(into);
    hash_.update(into.first(got));
    return got;
  }
  Digest finish() { return hash_.finish(); }

 private:
  Source& from_;
  codec::Sha256 hash_;
};

}  // namespace

std::optional<oci::Output> as_file(const std::string& text) {
  for (const char* prefix : {"oci:", "oci-archive:", "docker-archive:"}) {
    if (text.starts_with(prefix)) {
      return oci::Output::parse(text);
    }
  }
  return std::nullopt;
}

void read_tar(Source& compressed, const std::string& name, const Subject::Each& each) {
  const std::unique_ptr<Source> plain = codec::open_compressed(compressed, name);
  codec::TarReader reader(*plain);
  with_context([&] { return format("read layer {}", name); },
               [&] {
                 MemorySource nothing({});
                 while (const auto entry = reader.next()) {
                   each(*entry, entry->type == codec::FileType::Regular ? reader.content() : nothing);
                 }
                 NullSink rest;  // what follows the end of the tar is part of the blob all the same
                 copy_all(*plain, rest);
                 copy_all(compressed, rest);
               });
}

Subject::Subject(std::unique_ptr<State> state) : state_(std::move(state)) {}
Subject::Subject(Subject&&) noexcept = default;
Subject& Subject::operator=(Subject&&) noexcept = default;
Subject::~Subject() = default;

const std::string& Subject::name() const noexcept { return state_->name; }
const Digest& Subject::digest() const noexcept { return state_->digest; }
const std::string& Subject::manifest_text() const noexcept { return state_->manifest_text; }
const std::string& Subject::config_text() const noexcept { return state_->config_text; }
const oci::Manifest& Subject::manifest() const noexcept { return state_->manifest; }
const oci::ImageConfig& Subject::config() const noexcept { return state_->config; }
const std::optional<spec::Spec>& Subject::spec() const noexcept { return state_->spec; }
const std::optional<lock::Lock>& Subject::lock() const noexcept { return state_->lock; }
const std::string& Subject::layer_name(std::size_t layer) const { return state_->names.at(layer); }
const std::string& Subject::layer_kind(std::size_t layer) const { return state_->kinds.at(layer); }

std::optional<std::size_t> Subject::find_layer(const std::string& name) const {
  const auto at = std::ranges::find(state_->names, name);
  return at == state_->names.end() ? std::nullopt : std::optional(static_cast<std::size_t>(at - state_->names.begin()));
}

Subject Subject::open(const std::string& text, lock::Context& context) {
  auto state = std::make_unique<State>(context);
  State& s = *state;
  s.name = text;
  if (const auto place = as_file(text)) {
    if (place->kind == oci::Output::Kind::Layout) {
      s.layout = oci::Layout::open(place->path);
    } else {
      s.unpacked.reset(new os::TempDir(context.store.temp_dir("image-")));
      s.layout = oci::unpack_archive(place->path, s.unpacked->path());
    }
    const oci::Descriptor found =
        s.layout->find(place->tag.empty() ? std::nullopt : std::optional<std::string>(place->tag));
    s.digest = found.digest;
    s.manifest_text = s.layout->read(found);
    s.manifest = oci::parse_manifest(s.manifest_text);
    s.config_text = s.layout->read(s.manifest.config);
  } else {
    s.digest = find_in_store(text, context.store);
    s.manifest_text = context.store.read_blob(s.digest, oci::kMaxDocument);
    s.manifest = oci::parse_manifest(s.manifest_text);
    s.config_text = context.store.read_blob(s.manifest.config.digest, oci::kMaxDocument);
  }
  s.config = oci::parse_image_config(s.config_text);
  name_layers(s.config, s.manifest.layers.size(), s.names, s.kinds);

  Subject subject(std::move(state));
  const auto& labels = subject.config().labels;
  if (const auto label = labels.find("dev.slipway.spec"); label != labels.end()) {
    s.spec = spec::from_json(label->second, "the label dev.slipway.spec");
  }
  if (const auto label = labels.find(image::kModelLabel); label != labels.end()) {
    s.model = served_by(label->second);
  }
  const auto layer = subject.find_layer("lock");
  const auto label = labels.find("dev.slipway.lock");
  if (layer && label != labels.end()) {
    std::string lock_text;
    subject.read_layer(*layer, [&](const codec::TarEntry& entry, Source& content) {
      if (entry.path == std::string(image::kLockPath).substr(1) && entry.size < (64u << 20)) {
        BytesSink bytes;
        copy_all(content, bytes);
        lock_text = as_text(bytes.data);
      }
    });
    if (codec::sha256(lock_text).text() != label->second) {
      throw Error(ErrorKind::Corrupt, "`{}` carries another lock than its label dev.slipway.lock names", text)
          .add_hint("somebody changed the image after it was built");
    }
    s.lock = lock::from_toml(lock_text, "slipway.lock of " + text);
  }
  return subject;
}

const std::optional<ServedModel>& Subject::model() const noexcept { return state_->model; }

std::string Subject::title() const { return spec() ? spec()->name : model() ? model()->name : std::string("image"); }

fs::path Subject::blob_file(std::size_t layer) const { return state_->blob_file(manifest().layers.at(layer).digest); }

void Subject::read_layer(std::size_t layer, const Each& each) const {
  State& s = *state_;
  if (const fs::path file = blob_file(layer); !file.empty()) {
    const os::Fd fd = os::open_read(file);
    os::FdSource source(fd.get(), file.string());
    HashSource hashed(source);
    read_tar(hashed, layer_name(layer), each);
    if (hashed.finish() != manifest().layers.at(layer).digest) {
      throw Error(ErrorKind::Corrupt, "the bytes of layer `{}` are not those that the manifest names",
                  layer_name(layer))
          .add_hint("the image was damaged or changed: fetch or build it again");
    }
    return;
  }
  if (!s.lock || (!s.spec && !s.model) || s.rebuilding) {
    throw Error(ErrorKind::NotFound, "layer `{}` of `{}` is not in the store", layer_name(layer), name())
        .add_hint(s.rebuilding ? "the store was damaged: run `slipway gc --verify`, then build or pull the image again"
                               : "pull the image again, or name a layout: `oci:DIR`");
  }
  if (!s.rebuild) {
    s.rebuilding = true;
    s.rebuild = std::make_unique<Rebuild>(*this, s.context);
    s.rebuilding = false;
  }
  s.rebuild->read_layer(layer, each);
}

}  // namespace slip::inspect
