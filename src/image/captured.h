#pragma once

#include <filesystem>
#include <vector>

#include "codec/layer.h"

namespace slip::image {

/// Keeps items whose content lies in a sandbox that is about to go: moves the content into `into/files`, writes
/// `into/items.json`. The sandbox and `into` must be on one file system (rename).
void save_captured(const std::vector<codec::LayerItem>& items, const std::filesystem::path& into);

/// Reads back what save_captured() kept. @throws Error Corrupt when the folder is not as it was written
std::vector<codec::LayerItem> load_captured(const std::filesystem::path& folder);

}  // namespace slip::image
