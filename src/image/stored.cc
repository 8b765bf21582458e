#include "image/stored.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "core/error.h"
#include "image/build.h"
#include "lock/compression.h"
#include "oci/types.h"

namespace slip::image {

struct StoredImage::State {
  lock::Context& context;
  oci::Image image;
  lock::Lock lock;
  std::vector<LayerPlan> plan;  ///< layers of wheels
  std::unique_ptr<Engine> engine;
  std::once_flag prepared;
  std::map<Digest, Layer> made;  ///< layers that are not blobs, by digest

  /// Layers of wheels that the image's lock makes, by what they came to.
  void read_lock(const Digest& manifest) {
    const auto note = image_note(context.store, manifest);
    if (!note || !note->lock || !context.store.has_blob(*note->lock)) {
      return;
    }
    lock = lock::from_toml(context.store.read_blob(*note->lock), "slipway.lock");
    plan = wheel_layers(lock);
    engine = std::make_unique<Engine>(lock, plan, context);
    for (const LayerPlan& layer : plan) {
      if (const auto encoded = engine->known(layer)) {
        made.emplace(encoded->digest, Layer{layer, *encoded, lock::compression_of(lock), true});
      }
    }
  }

  oci::LayerSource source_of(const oci::Descriptor& descriptor, const Digest& diff_id) {
    if (context.store.has_blob(descriptor.digest)) {
      return oci::layer_from_file(descriptor, diff_id, context.store.blob_path(descriptor.digest));
    }
    const auto found = made.find(descriptor.digest);
    if (found == made.end()) {
      throw Error(ErrorKind::NotFound, "the store lacks layer {} of the image", descriptor.digest.text())
          .add_hint("run `slipway build` in its project, or `slipway pull` it again");
    }
    const Layer& layer = found->second;
    const auto produce = [this, &layer](Sink& out) {
      std::call_once(prepared, [&] { engine->prepare(); });
      engine->produce(layer, out);
    };
    return {descriptor, diff_id, produce, {}};
  }
};

StoredImage::StoredImage(const Digest& manifest, lock::Context& context)
    : state_(new State{context, {}, {}, {}, nullptr, {}, {}}) {
  State& s = *state_;
  s.image.manifest = context.store.read_blob(manifest);
  const oci::Manifest parsed = oci::parse_manifest(s.image.manifest);
  s.image.config = context.store.read_blob(parsed.config.digest);
  const oci::ImageConfig config = oci::parse_image_config(s.image.config);
  if (config.diff_ids.size() != parsed.layers.size()) {
    throw Error(ErrorKind::Invalid, "the image has {} layers, and its config {}", parsed.layers.size(),
                config.diff_ids.size());
  }
  if (!std::ranges::all_of(parsed.layers, [&](const oci::Descriptor& l) { return context.store.has_blob(l.digest); })) {
    s.read_lock(manifest);
  }
  for (std::size_t i = 0; i < parsed.layers.size(); ++i) {
    s.image.layers.push_back(s.source_of(parsed.layers[i], config.diff_ids[i]));
  }
}

StoredImage::~StoredImage() = default;

const oci::Image& StoredImage::image() const noexcept { return state_->image; }

}  // namespace slip::image
