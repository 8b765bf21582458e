#pragma once

#include <cstddef>
#include <optional>
#include <string_view>

namespace slip {

/// Length of the valid UTF-8 sequence at the front of `s`, which is not empty; 0 when there is none: no overlong forms,
/// no surrogates, at most U+10FFFF. @source RFC 3629
std::size_t utf8_length(std::string_view s) noexcept;

/// Where a text goes wrong; both count from 1, columns in bytes.
struct TextPosition {
  std::size_t line = 1;
  std::size_t column = 1;
};
/// The first byte that no text file has: not UTF-8, or a control character other than tab and line ends. Parsers that
/// take such bytes for granted are asked only after this.
std::optional<TextPosition> first_non_text(std::string_view text) noexcept;

}  // namespace slip
