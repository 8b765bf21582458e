#pragma once

#include <span>
#include <vector>

#include "codec/layer.h"
#include "image/recipe.h"
#include "wheel/wheel.h"

namespace slip::image {

/// The layer that slipway itself writes: the workspace user in passwd, group, shadow and gshadow, the home folder
/// seeded from /etc/skel, /workspace, the virtual environment and the PATH of login shells.
///
/// @param lower      the layers below, lowest first: account files and /etc/skel are read from the topmost that has
///                   them
/// @param libraries  paths of shared libraries (no leading "/") that get links where the loader looks
/// @throws Error Conflict when the user's name or id is taken
std::vector<codec::LayerItem> system_items(const SystemRecipe& recipe,
                                           std::span<const std::vector<codec::LayerItem>> lower,
                                           const wheel::Target& target, std::span<const std::string> libraries = {});

/// The files of a TextsRecipe, with the folders above them.
std::vector<codec::LayerItem> texts_items(const TextsRecipe& recipe);

/// Bytes of a regular file item, wherever they are. @throws Error as the file system does
std::string content_of(const codec::LayerItem& item);

}  // namespace slip::image
