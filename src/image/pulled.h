#pragma once

#include <cstddef>
#include <filesystem>
#include <vector>

#include "image/build.h"
#include "lock/context.h"
#include "oci/types.h"

namespace slip::image {

/// Unpacks an image whose layers lie as blobs in the store, whoever made it, so that it can be run: each layer once
/// into a tree of its own, all of them hard-linked into one root.
class PulledImage {
 public:
  PulledImage(const Digest& digest, oci::Manifest manifest, oci::ImageConfig config, lock::Context& context);

  /// True when the store has the root of this image already, be it from a build.
  [[nodiscard]] bool is_unpacked() const;
  /// Unpacks layer `i`, whose blob must be there. Different layers may be unpacked by different threads at once.
  /// @throws Error Corrupt: its tar is not the diff_id's; Invalid: it is no tar; NoSpace
  void unpack_layer(std::size_t i);
  /// Links the root and notes the image, so that `images`, `run`, `up` and `gc` know it. Returns the root.
  std::filesystem::path finish();

 private:
  [[nodiscard]] std::string layer_key(std::size_t i) const;
  [[nodiscard]] std::string root_tree() const;

  Digest digest_;
  oci::Manifest manifest_;
  oci::ImageConfig config_;
  lock::Context& context_;
};

}  // namespace slip::image
