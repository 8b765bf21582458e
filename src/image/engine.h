#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "codec/compression.h"
#include "image/plan.h"
#include "lock/context.h"
#include "lock/lock.h"

namespace slip::image {

/// A finished layer: its recipe, and what it came to.
struct Layer {
  LayerPlan plan;
  codec::EncodedLayer encoded;
  codec::Compression compression = codec::Compression::Gzip;
  bool reused = false;  ///< known from an earlier build; nothing was made
};

/// Turns recipes into layers: the one engine behind every kind of image. The lock says how they are compressed. Caches
/// by recipe key; gzip layers of wheels are never kept as blobs (their bytes can be made again from the wheels faster
/// than read back twice), all others are.
class Engine {
 public:
  /// Everything is referred to, not copied.
  Engine(const lock::Lock& lock, const std::vector<LayerPlan>& plan, lock::Context& context);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Brings every layer about, in parallel where they do not stand on one another; cheap when all are known.
  std::vector<Layer> build();
  /// The merged root of all layers: one folder of hard links, kept in the store.
  std::filesystem::path root();
  /// Makes what several layers' produce() share, so that threads may call that for different layers afterwards.
  void prepare();
  /// Writes the compressed bytes of one layer. @throws Error Corrupt when they are not what `layer` promises
  void produce(const Layer& layer, Sink& out);
  /// What one layer holds, in its order; made when it is not at hand. The content lies in the store, and stays while
  /// the engine lives.
  const std::vector<codec::LayerItem>& items(std::size_t layer);
  /// What a layer came to when it was last made; nullopt: the store does not remember.
  [[nodiscard]] std::optional<codec::EncodedLayer> known(const LayerPlan& layer) const;
  /// Trees of the store that this image's root and layers are made of.
  [[nodiscard]] std::vector<std::string> tree_keys() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Store key of the merged root of a plan.
std::string root_key(const std::vector<LayerPlan>& plan);

}  // namespace slip::image
