#pragma once

#include <string>
#include <vector>

#include "image/recipe.h"
#include "spec/spec.h"

namespace slip::image {

/// The project's files as the spec maps them, `.slipwayignore` applied, sorted by path, with the folders that
/// lead to them. Modes become 0755 or 0644 (folders 0755), so that a checkout's umask does not reach the image.
/// @throws Error NotFound naming the spec's line; Conflict when two mappings give one path different content;
///         Invalid for sockets, devices and links that lead out of the project
std::vector<ProjectFile> project_files(const spec::Spec& spec, const std::string& suite);

}  // namespace slip::image
