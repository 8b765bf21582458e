#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace slip {

/// Damerau-Levenshtein distance (adjacent swaps count one), bytes.
std::size_t edit_distance(std::string_view a, std::string_view b);

/// The one known word that `word` was most likely meant to be; nullopt when none is near enough
/// (more than a third of the longer word's length, at least 1 and at most 3 edits).
std::optional<std::string> nearest(std::string_view word, std::span<const std::string> known);

}  // namespace slip
