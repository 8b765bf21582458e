#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

/// What single words of a spec mean. Pure; nullopt or false for what is malformed.
namespace slip::spec {

std::optional<bool> flag_value(std::string_view text);
/// "8GiB", "512MB", "1024": bytes, above 0. Units: B KB MB GB TB (1000) and KiB MiB GiB TiB (1024), in any case.
std::optional<std::uint64_t> size_value(std::string_view text);
std::optional<double> number_value(std::string_view text);
std::optional<std::uint64_t> count_value(std::string_view text);

/// Lower-case letters, digits, single separators between them, at most 63 bytes: fits an image reference and a host
/// name.
bool valid_name(std::string_view text);
bool valid_user(std::string_view text);
bool valid_env_name(std::string_view text);
/// NAME or NAME=VERSION, as Debian policy 5.6.1 and 5.6.12 allow.
bool valid_apt(std::string_view text);
/// RFC 3339 with "T" and a zone; a bare date means its first moment, UTC. nullopt: neither.
std::optional<std::string> time_value(std::string_view text);

/// Why an absolute path inside the image cannot be taken; empty: it can.
std::string target_fault(std::string_view target);
/// Why nothing may be mounted there; empty: it may.
std::string mount_fault(std::string_view target);
/// "/a//b/" → "/a/b".
std::string tidy_path(std::string_view path);

/// "3.9 (bullseye), 3.11 (bookworm), 3.13 (trixie)".
std::string known_interpreters();

}  // namespace slip::spec
