#pragma once

#include <optional>
#include <string>
#include <vector>

#include "inspect/subject.h"
#include "lock/context.h"

/// Making an image again from its lock, with nothing that an earlier build left, and comparing the bytes.
namespace slip::inspect {

/// The first thing that is not the same.
struct Difference {
  std::string layer;             ///< its name; empty: not a layer's
  std::string path;              ///< "usr/bin/jq"; empty: the layer as a whole, or none
  std::string field;             ///< "content", "mode", "presence", "compression", "config", …
  std::string expected, actual;  ///< of the image; of what was made
};

struct Verification {
  bool same = false;          ///< the manifest has the same digest
  bool same_content = false;  ///< all layers unpack to the same bytes (another encoder compresses them otherwise)
  Digest expected, actual;    ///< of the manifests
  std::optional<Difference> first;
  /// Layers with content that no lock can name and that was therefore taken from the image: the project's files, a
  /// model, slipway-serve. Their bytes were encoded anew.
  std::vector<std::string> taken;
  std::size_t layers = 0;
};

/// Builds in an empty store; inputs come from the caller's store (each hashed again) or their sources.
/// @throws Error NotFound: the image carries no lock; as image::Engine does
Verification verify(const Subject& subject, lock::Context& context);

/// The digests of everything a lock names: packages, sdists, tools. @param built  also wheels that sdists become
std::vector<Digest> inputs_of(const lock::Lock& lock, bool built);

/// What two layers first differ in, entry by entry in the order of paths; nullopt: in nothing that a tar can say.
struct LayerEntry {
  codec::TarEntry entry;
  Digest sha256;
};
std::optional<Difference> first_difference(const std::vector<LayerEntry>& expected,
                                           const std::vector<LayerEntry>& actual);

}  // namespace slip::inspect
