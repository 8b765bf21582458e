#pragma once

#include <cstddef>
#include <string_view>

namespace slip {

/// Length of the valid UTF-8 sequence at the front of `s`, which is not empty; 0 when there is none: no overlong forms,
/// no surrogates, at most U+10FFFF. @source RFC 3629
std::size_t utf8_length(std::string_view s) noexcept;

}  // namespace slip
