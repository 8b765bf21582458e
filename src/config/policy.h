#pragma once

#include <string>

#include "config/config.h"

namespace slip::config {

/// Whether images of this registry may have the folders of this machine mounted that they name: its `allow_mounts`.
/// False for an empty host and one that the configuration does not know.
bool allows_mounts(const Config& config, const std::string& host);

}  // namespace slip::config
