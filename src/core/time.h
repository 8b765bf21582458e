#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slip {

/// Seconds since 1970 UTC → "2025-08-09T09:16:30Z".
std::string rfc3339(std::int64_t seconds);

/// "2024-06-01T12:00:00.5+02:00" → seconds since 1970 UTC, a fraction of a second dropped; nullopt when it is no such
/// time, or of a day that does not exist. @source RFC 3339 5.6
std::optional<std::int64_t> parse_rfc3339(std::string_view text);

/// Seconds since 1970 of a time as rfc3339() writes it: UTC, whole seconds, no other spelling. @throws Error Invalid
std::int64_t epoch_of(std::string_view text);

}  // namespace slip
