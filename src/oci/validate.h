#pragma once

#include <string>
#include <vector>

#include "oci/layout.h"

namespace slip::oci {

/// One thing that is wrong with an image.
struct Problem {
  std::string place;  ///< "manifest", "config", "layer 3", "layer 3: usr/bin/x"
  std::string text;
  bool operator==(const Problem&) const = default;
};

/// How closely layers are looked at.
enum class Rules {
  Any,   ///< what any image must keep
  Ours,  ///< also what ours promise: canonical documents, sorted layers, parents and hard links where they belong
};

/// Reads a whole image and checks it: sizes and digests of all blobs, diff_ids by unpacking, agreement of manifest and
/// config, and each layer's entries: no path twice, hard links to what is there, parents in this layer or a lower one,
/// whiteouts well formed. Memory: O(paths). Stops after 100 problems.
/// @param manifest  as found by Layout::find()
/// @return empty when everything is right
/// @source OCI image-spec v1.1 manifest.md, config.md, layer.md
std::vector<Problem> validate(const Layout& layout, const Descriptor& manifest, Rules rules = Rules::Ours);

}  // namespace slip::oci
