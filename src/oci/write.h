#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "oci/layout.h"

/// Inside of write_image(): what layouts and archives share.
namespace slip::oci {

/// One blob that is to be written.
struct Part {
  Descriptor descriptor;
  std::string what;  ///< "layer", "config", "manifest"
  std::function<void(Sink&)> produce;
};

/// The blobs of an image, each once, and its entry in the index.
struct Parts {
  Manifest manifest;
  std::vector<Part> blobs;
  Descriptor entry;
  std::vector<Descriptor> attachments;  ///< further entries of the index
  /// `base` with the members every index of ours has.
  [[nodiscard]] Index index(Index base) const;
};

/// Checks that manifest, config and layers fit. The result refers to `image` and `attachments`, which must outlive it.
Parts parts_of(const Image& image, const std::optional<Reference>& name,
               const std::vector<Attachment>& attachments = {});
/// Passes the bytes on; throws Corrupt when their size or digest is not the descriptor's.
void produce_checked(const Part& part, Sink& out);
void write_archive(const Parts& parts, const fs::path& file, bool for_docker, const std::optional<Reference>& name);

}  // namespace slip::oci
