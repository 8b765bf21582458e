#pragma once

#include <span>
#include <string_view>
#include <vector>

#include "codec/layer.h"
#include "deb/deb.h"
#include "launch/sandbox.h"

namespace slip::deb {

/// What a path that scripts wrote becomes in the image.
enum class Rule : std::uint8_t {
  Keep,
  Drop,      ///< not in the image
  Empty,     ///< the file is there and empty
  Keystore,  ///< Java's certificates: without the times at which they were put in
  Refuse,    ///< data made at install time: an error that names the package's folder
};
/// The rule for a path ("etc/machine-id"), from the one table of normalise.cc.
Rule rule_for(std::string_view path);

/// The captured changes as items of one layer: the table applied, set-id bits of regular files dropped, removed paths
/// as whiteouts, sorted. What is again as `packages` ship it (a file that was moved away and back, a folder that
/// something was made in) is no change. @throws Error Unsupported (Refuse; a fifo)
std::vector<codec::LayerItem> normalised(const std::vector<launch::Sandbox::Change>& changes,
                                         std::span<const Unpacked> packages = {});

}  // namespace slip::deb
