#pragma once

#include <memory>
#include <string>

#include "image/engine.h"
#include "oci/layout.h"

namespace slip::image {

/// An image of the store as it can be written or pushed: layers that lie as blobs are read, those of wheels are made
/// again while they are written.
class StoredImage {
 public:
  /// @throws Error NotFound: the store lacks a layer, and what it could be made from
  StoredImage(const Digest& manifest, lock::Context& context);
  ~StoredImage();
  StoredImage(const StoredImage&) = delete;
  StoredImage& operator=(const StoredImage&) = delete;
  /// Its layers refer to this object; different ones may be produced by different threads at once.
  [[nodiscard]] const oci::Image& image() const noexcept;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slip::image
