#pragma once

#include <filesystem>
#include <vector>

#include "codec/layer.h"
#include "deb/deb.h"
#include "image/recipe.h"
#include "lock/context.h"

/// Layers made of chosen parts: single files of packages, of a wheel, of this host. What the functions with a `scratch`
/// return lies there: keep it with save_captured() before that goes.
namespace slip::image {

/// @throws Error NotFound when no package ships one of the paths
std::vector<codec::LayerItem> picked_items(const PickRecipe& recipe, const std::vector<deb::Unpacked>& packages);

/// Reads only the chosen entries of the wheel; each is checked against CRC-32 and RECORD.
/// @throws Error NotFound, Corrupt, Invalid
std::vector<codec::LayerItem> extracted_items(const ExtractRecipe& recipe, const std::filesystem::path& wheel,
                                              const std::filesystem::path& scratch, const lock::Context& context);

/// @throws Error Conflict when a program on this host is not the one of the recipe any more
std::vector<codec::LayerItem> program_items(const ProgramsRecipe& recipe, const std::filesystem::path& scratch,
                                            const lock::Context& context);

/// A copy of a host file in `scratch`, checked against its digest and given to the sandbox. The store must never hold
/// links to what people edit. @throws Error Conflict when the file was changed
std::filesystem::path copied(const std::string& source, const Digest& sha256, std::uint32_t mode,
                             const std::filesystem::path& scratch, const lock::Context& context);

}  // namespace slip::image
