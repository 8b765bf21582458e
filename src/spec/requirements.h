#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "spec/source.h"

namespace slip::spec {

/// What a requirements file says.
struct RequirementsFile {
  std::vector<Requirement> requirements;  ///< in the order written, files taken in by `-r` in their place
  std::string requires_python;            ///< of a pyproject.toml: ">=3.9,<3.12"
  Place requires_python_place;
};

/// Reads a requirements.txt (and what it takes in with -r) or, by its name, a pyproject.toml.
/// @param file    relative to `folder`, or absolute
/// @param named   where the spec names it, for the error when it is missing; may be empty
/// @throws Error NotFound; Invalid with place and caret: malformed lines, URLs, -e, options that choose an index
RequirementsFile read_requirements(const std::filesystem::path& folder, const std::string& file,
                                   const SourceText* named = nullptr, const Place& place = {});

/// One line of a requirements file, or one item of a spec's list, without comment: "numpy<2 --hash=sha256:…".
/// @param place  of its first byte
/// @throws Error Invalid
Requirement read_requirement(const SourceText& source, const Place& place, std::string_view text);

/// The requirements of a pyproject.toml's text.
RequirementsFile read_pyproject(const SourceText& source);

}  // namespace slip::spec
