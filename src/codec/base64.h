#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace slip::codec {

/// Standard alphabet, with padding, without line breaks. @source RFC 4648 section 4
std::string base64(std::string_view bytes);
/// nullopt for anything that is not what base64() gives; blanks at the end are allowed.
std::optional<std::string> unbase64(std::string_view text);

}  // namespace slip::codec
