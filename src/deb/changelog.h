#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace slip::deb {

/// CVE ids that the entries of a Debian changelog name which are newer than `since`, sorted, without repetition.
/// Foreign text: what is no changelog names none.
/// @source deb-changelog(5); Debian policy 4.4
std::vector<std::string> cves_since(std::string_view changelog, std::string_view since);

/// One regular file of a .deb, found by the end of its path ("/changelog.Debian.gz") and unpacked by its magic; at most
/// 16 MiB. nullopt when the package ships no such file (a link to another package's, say).
/// @throws Error Invalid
std::optional<std::string> read_from_deb(const std::filesystem::path& deb_file, std::string_view tail);

/// The changelog of a .deb, nullopt when it ships none of its own.
std::optional<std::string> changelog_of(const std::filesystem::path& deb_file);

}  // namespace slip::deb
