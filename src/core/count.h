#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "core/format.h"

namespace slip {

/// A number with its noun: "1 file", "2 files". For nouns that take an s.
inline std::string counted(std::uint64_t number, std::string_view noun) {
  return format("{} {}{}", number, noun, number == 1 ? "" : "s");
}

}  // namespace slip
