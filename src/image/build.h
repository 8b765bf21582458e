#pragma once

#include <string>
#include <vector>

#include "image/engine.h"
#include "oci/layout.h"
#include "oci/types.h"
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

/// An image whose layers are made, on its way into the store.
struct Assembly {
  oci::ImageConfig config;           ///< without layers: history and diff_ids are added here
  std::string tag;                   ///< "name:tag"
  std::vector<std::string> outputs;  ///< as BuildOptions
};

/// Gives finished layers a configuration and a manifest, tags the image, notes for `run` and `gc` what it is made of,
/// and writes the outputs. What `build` ends with; other kinds of images have recipes of their own before it.
BuildResult assemble(Assembly assembly, const std::vector<LayerPlan>& plan, std::vector<Layer> layers, Engine& engine,
                     const lock::Lock& lock, lock::Context& context);

/// The configuration of a spec's image, without layers: no clock, no host, no secret.
oci::ImageConfig image_config(const spec::Spec& spec, const lock::Lock& lock);
/// One line of history per layer: kind and name of its recipe.
void add_history(oci::ImageConfig& config, const std::vector<Layer>& layers);
/// A finished layer as oci::write_image() wants it; `engine` and `layer` must outlive it.
oci::LayerSource layer_source(const Layer& layer, Engine& engine);

/// The merged root of a locked spec's image, made when the store lacks it.
std::filesystem::path image_root(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init,
                                 lock::Context& context);

/// What the store notes about an image of its own, so that `run`, `images` and `gc` need no checkout.
struct ImageNote {
  std::string root;                ///< tree key of the merged root
  std::vector<std::string> trees;  ///< every tree the image is made of
  std::vector<Digest> blobs;       ///< config, layers that lie as blobs
  std::optional<Digest> lock;      ///< blob of the lock it was built from; nullopt: pulled
  std::uint64_t size = 0;
  std::uint64_t size_unpacked = 0;
};
void set_image_note(store::Store& store, const Digest& manifest, const ImageNote& note);
std::optional<ImageNote> image_note(const store::Store& store, const Digest& manifest);

}  // namespace slip::image
