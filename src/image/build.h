#pragma once

#include <string>
#include <vector>

#include "image/engine.h"
#include "spec/spec.h"

namespace slip::image {

struct BuildOptions {
  std::string tag;                   ///< "name:tag"; empty: the spec's name with ":latest"
  std::vector<std::string> outputs;  ///< "oci:DIR", "oci-archive:FILE", "docker-archive:FILE"
  bool check_imports = true;
};

struct BuildResult {
  Digest digest;  ///< of the manifest
  Digest config;
  std::string reference;
  std::uint64_t size = 0;           ///< compressed bytes of all layers
  std::uint64_t size_unpacked = 0;  ///< bytes of all layer tars
  std::vector<Layer> layers;
  bool unchanged = false;  ///< nothing had to be made
};

/// Builds the image of a locked spec, checks that what was asked for can be imported, tags it, writes the outputs.
/// @throws Error Conflict when the lock is stale; Invalid when an import fails
BuildResult build(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init, const BuildOptions& options,
                  lock::Context& context);

/// The merged root of a locked spec's image, made when the store lacks it.
std::filesystem::path image_root(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init,
                                 lock::Context& context);

/// What the store notes about an image of its own, so that `run`, `images` and `gc` need no checkout.
struct ImageNote {
  std::string root;                ///< tree key of the merged root
  std::vector<std::string> trees;  ///< every tree the image is made of
  std::vector<Digest> blobs;       ///< config, layers that lie as blobs
  std::uint64_t size = 0;
  std::uint64_t size_unpacked = 0;
};
std::optional<ImageNote> image_note(const store::Store& store, const Digest& manifest);

}  // namespace slip::image
