#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "codec/tar.h"
#include "deb/deb.h"

namespace slip::deb {

/// What a package may cost us.
constexpr codec::TarLimits kControlLimits = {1000, 32u << 20, 64u << 20, 256, 1u << 16};
constexpr codec::TarLimits kDataLimits = {1'000'000, std::uint64_t{16} << 30, std::uint64_t{32} << 30, 4096, 1u << 20};

/// Where a path goes in a root whose /bin, /sbin, /lib… are links into /usr: "bin/sh" → "usr/bin/sh".
/// `leaf_is_folder`: "lib" itself is a folder (and becomes usr/lib) or a link (and stays).
std::string merged_path(const std::string& path, bool leaf_is_folder);

/// Reads a .deb and writes its regular files below `into`/root; nothing else is written.
/// @param owner  uid and gid that files get; nullopt: as created
/// @throws Error Invalid
Unpacked read_deb(const std::filesystem::path& deb_file, const std::filesystem::path& into, bool merged_usr,
                  std::optional<launch::HostId> owner);

}  // namespace slip::deb
