#pragma once

#include <functional>
#include <optional>
#include <string>

#include "oci/reference.h"
#include "oci/types.h"
#include "registry/remote.h"
#include "store/store.h"

namespace slip::registry {

/// A manifest as a registry gave it; its bytes have the digest.
struct FetchedManifest {
  Digest digest;
  std::string bytes;
  std::string media_type;
};

/// The manifest called `name` (a tag or "sha256:…"); nullopt when there is none.
/// @param accept  media types, joined by ", "; empty: those of images and indexes
/// @throws Error Corrupt when a digest was asked for and other bytes came
std::optional<FetchedManifest> fetch_manifest(Remote& remote, const std::string& repository, const std::string& name,
                                              const std::string& accept = {});

/// A small blob, checked against its descriptor.
std::string fetch_blob(Remote& remote, const std::string& repository, const oci::Descriptor& blob);

/// What a reference stands for, before anything but manifests and config was fetched.
struct Resolved {
  Digest named;   ///< what the tag points at: an index or the manifest; signatures are about it
  Digest digest;  ///< of the image's manifest
  std::string manifest;
  std::string config;
};

/// Follows `from` to one image's manifest and config: through an index to `platform`. Credentials are checked first.
/// @throws Error NotFound with what there is; Unsupported: it is no image, or none for this platform
Resolved resolve(Remote& remote, const oci::Reference& from, const oci::Platform& platform = {});

/// Bytes of the layers that the store lacks, as they travel.
std::uint64_t missing_bytes(const Resolved& image, const store::Store& store);

/// Brings the layers that the store lacks into it, several at a time; bytes are checked, unfinished ones of an earlier
/// run are used. Config and manifest follow when all layers are there.
/// @param on_layer  called from worker threads as each layer is there, with its place in the manifest; may take long
/// @return bytes downloaded
std::uint64_t fetch_layers(Remote& remote, const oci::Reference& from, const Resolved& image, store::Store& store,
                           const std::function<void(std::size_t)>& on_layer);

}  // namespace slip::registry
