#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "oci/layout.h"
#include "oci/reference.h"
#include "registry/remote.h"
#include "registry/upload.h"
#include "store/store.h"

namespace slip::registry {

struct Pushed {
  Digest digest;                     ///< of the manifest
  std::uint64_t uploaded_bytes = 0;  ///< of blobs, as sent over the wire
  std::size_t uploaded = 0;          ///< blobs; so are the next two
  std::size_t mounted = 0;
  std::size_t skipped = 0;  ///< the repository had them
};

/// Uploads what the repository lacks of an image, several blobs at a time, then its manifest under `to`'s tag (or only
/// its digest). Blobs go before what names them, so a push that is broken off leaves nothing half-made to be seen.
/// @param store  remembers which repositories of a registry have a blob, so that others mount it from there
/// @throws Error Denied before any work when the registry does not let us; Conflict: `to` names another digest
Pushed push(Remote& remote, const oci::Image& image, const oci::Reference& to, store::Store& store,
            const UploadRules& rules = {});

/// Puts one manifest under a tag or digest and returns the registry's answer (201).
http::Response put_manifest(Remote& remote, const std::string& repository, const std::string& name,
                            const std::string& bytes, const std::string& media_type);

/// Repositories of this registry that are known to have had the blob.
std::vector<std::string> known_places(const store::Store& store, const std::string& host, const Digest& blob);
void note_place(store::Store& store, const std::string& host, const Digest& blob, const std::string& repository);

}  // namespace slip::registry
