#pragma once

#include <string>
#include <vector>

#include "codec/layer.h"
#include "deb/deb.h"

namespace slip::model {

/// The part of a Debian system that some programs need.
struct Closure {
  std::vector<std::string> paths;     ///< libraries, the loader, and the links that lead to them; sorted
  std::vector<std::string> packages;  ///< that ship them, sorted
};

/// Follows what the ELF files among `programs` need, and what that needs in turn, through the files of `packages`.
/// A library that is among the programs themselves is found there.
/// @throws Error NotFound naming a library that nobody ships, and who needs it
/// @source ld.so(8): DT_NEEDED by name in the default folders
Closure closure_of(const std::vector<codec::LayerItem>& programs, const std::vector<deb::Unpacked>& packages);

/// The link or file at `path` and what it leads to, within `packages`: paths to pick. Empty: it is not there.
std::vector<std::string> with_targets(const std::string& path, const std::vector<deb::Unpacked>& packages);

}  // namespace slip::model
