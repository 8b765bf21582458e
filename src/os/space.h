#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>

namespace slip::os {

/// Bytes that this process may still write where `path` lies; nullopt when nobody can say.
std::optional<std::uint64_t> free_bytes(const std::filesystem::path& path);

}  // namespace slip::os
