#pragma once

#include <string>
#include <vector>

#include "oci/types.h"
#include "registry/remote.h"

namespace slip::registry {

/// Manifests that name `subject` as theirs: through the referrers API, where the registry lacks it through the tag
/// "sha256-HEX". At most 200; their types are what the listing says, which need not be true.
/// @source OCI distribution-spec 1.1 "Listing Referrers", "Referrers Tag Schema"
std::vector<oci::Descriptor> list_referrers(Remote& remote, const std::string& repository, const Digest& subject);

/// Pushes blobs and manifest of something attached to an image (manifest.subject). Where the registry does not say that
/// it noted the subject, the fallback tag's index gets the entry.
/// @param blobs  of the manifest's layers and config, in any order
void push_referrer(Remote& remote, const std::string& repository, const oci::Manifest& manifest,
                   const std::vector<std::string>& blobs);

/// Uploads a blob that is in memory, unless it is there.
void push_text(Remote& remote, const std::string& repository, const std::string& bytes);

}  // namespace slip::registry
