#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "oci/layout.h"
#include "registry/remote.h"

namespace slip::registry {

/// How a blob got to its repository.
enum class Arrival { Present, Mounted, Uploaded };

struct Uploaded {
  Arrival arrival = Arrival::Present;
  std::uint64_t sent = 0;  ///< bytes that went over the wire, those sent twice counted twice
};

/// How blobs are cut.
struct UploadRules {
  std::uint64_t whole = 8u << 20;    ///< a blob up to this size goes in one PUT
  std::uint64_t chunk = 256u << 20;  ///< bytes of one PATCH; a registry's OCI-Chunk-Min-Length raises it
};

/// Brings one blob to `repository`: asks whether it is there, mounts it from a repository of `mount_from` that this
/// registry may have it in, else uploads it. After a broken connection the registry is asked how far it came and the
/// upload goes on there; where it forgot, from the start.
/// @param progress  bytes of the blob the registry has or is being sent
/// @throws Error Denied, Unavailable, …; Corrupt when the registry gets other bytes than the descriptor names
/// @source OCI distribution-spec 1.1 "Pushing blobs"
Uploaded upload_blob(Remote& remote, const std::string& repository, const oci::LayerSource& blob,
                     const std::vector<std::string>& mount_from, const UploadRules& rules,
                     const std::function<void(std::uint64_t)>& progress);

}  // namespace slip::registry
