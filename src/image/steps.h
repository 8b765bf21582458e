#pragma once

#include <filesystem>
#include <vector>

#include "codec/layer.h"
#include "image/recipe.h"
#include "launch/sandbox.h"
#include "lock/context.h"

/// Layers that come from running something over the layers below. The content of what they return lies in `scratch`:
/// keep it with save_captured() before that goes.
namespace slip::image {

/// Sandbox changes as layer items, whiteouts and opaque folders included, sorted.
std::vector<codec::LayerItem> items_of(const std::vector<launch::Sandbox::Change>& changes);

/// Maintainer scripts over the unconfigured root; dpkg's database is part of the layer.
std::vector<codec::LayerItem> configured_items(const ConfigureRecipe& recipe, const std::filesystem::path& scratch,
                                               lock::Context& context);

/// `jupyter contrib nbextension install` and `enable` over `root`. @throws Error Invalid with the tool's last lines
std::vector<codec::LayerItem> nbextension_items(const NbextensionsRecipe& recipe, const std::filesystem::path& root,
                                                const std::filesystem::path& scratch, lock::Context& context);

/// One `run:` step over `root`. @throws Error Invalid: the command's status and last lines
std::vector<codec::LayerItem> run_items(const RunRecipe& recipe, const std::filesystem::path& root,
                                        const std::filesystem::path& scratch, lock::Context& context);

}  // namespace slip::image
