#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "oci/types.h"
#include "registry/remote.h"

namespace slip::registry {

/// Names bytes that are in memory.
oci::Descriptor descriptor_of(std::string_view media_type, const std::string& bytes);

/// Manifests that name `subject` as theirs: through the referrers API, where the registry lacks it through the tag
/// "sha256-HEX". At most 200; their types are what the listing says, which need not be true.
/// @source OCI distribution-spec 1.1 "Listing Referrers", "Referrers Tag Schema"
std::vector<oci::Descriptor> list_referrers(Remote& remote, const std::string& repository, const Digest& subject);

/// Pushes blobs and manifest of something attached to an image (manifest.subject). Where the registry does not say that
/// it noted the subject, the fallback tag's index gets the entry.
/// @param blobs  of the manifest's layers and config, in any order
void push_referrer(Remote& remote, const std::string& repository, const oci::Manifest& manifest,
                   const std::vector<std::string>& blobs);

/// A document to attach to an image, small enough for memory.
struct Document {
  std::string type;  ///< of its bytes and of the artifact: "application/spdx+json"
  std::string text;
};

/// Attaches documents to `image`; those that it has already, to the byte, are left alone. Returns how many were new.
std::size_t attach(Remote& remote, const std::string& repository, const oci::Descriptor& image,
                   const std::vector<Document>& documents);

/// The documents of this type that are attached to `image`, in the order of the listing. Nobody vouches for them: they
/// are what somebody who may push there says.
std::vector<std::string> attached(Remote& remote, const std::string& repository, const Digest& image,
                                  const std::string& type);

/// Uploads a blob that is in memory, unless it is there.
void push_text(Remote& remote, const std::string& repository, const std::string& bytes);

}  // namespace slip::registry
