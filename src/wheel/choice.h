#pragma once

#include <string>
#include <vector>

#include "wheel/index.h"
#include "wheel/wheel.h"

namespace slip::wheel {

/// The file to take for one version of a project.
struct Wanted {
  std::string name;  ///< normalised
  std::string version;
  std::vector<std::string> hashes;  ///< "sha256:…"; non-empty: the file must have one of them
};

/// The best wheel by tag rank, or the sdist when that version has no wheel that fits. `size` is 0 where the index does
/// not say it. @throws Error NotFound; Unsupported when the index names no SHA-256
File choose_file(const Wanted& wanted, const std::vector<IndexFile>& offered, const Target& target,
                 const std::string& exclude_newer);

/// Chooses a file for each, in their order, with the size of each. What was chosen before for the same version, target
/// and index is not asked for again: nothing that is uploaded later can change what was there before `exclude_newer`.
/// @throws Error as choose_file; Conflict when a hash is required that the file does not have; Unavailable
std::vector<File> choose_files(const std::vector<Wanted>& wanted, const std::string& alias, const Target& target,
                               const std::string& exclude_newer, const config::Config& config, http::Client& client,
                               store::Store& store);

}  // namespace slip::wheel
