#pragma once

#include <compare>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace slip::deb {

/// A Debian package version: [epoch:]upstream[-revision].
/// @source deb-version(7)
struct Version {
  std::uint32_t epoch = 0;
  std::string upstream;  ///< starts with a digit in well-formed archives; letters, digits and . + - ~ :
  std::string revision;  ///< empty: none, which sorts like "0"

  /// nullopt for a text that the grammar does not allow: no upstream part, an epoch that is no number, other
  /// characters.
  static std::optional<Version> parse(std::string_view text);
  /// As it is written; parse(text()) gives an equal value.
  [[nodiscard]] std::string text() const;
};

/// The order of dpkg: a total order of versions, in which "~" sorts before the end of a part and letters before
/// everything else; "1.0" and "1.00" are equivalent. Texts outside the grammar are compared by the same rules.
std::weak_ordering compare_versions(std::string_view a, std::string_view b) noexcept;

enum class Relation : std::uint8_t { Any, Earlier, EarlierEqual, Equal, LaterEqual, Later };
/// Whether `version` stands in the relation to `bound`: satisfies("2.0", LaterEqual, "1.0").
bool satisfies(std::string_view version, Relation relation, std::string_view bound) noexcept;
/// ">=" and so on; empty for Any.
std::string_view text_of(Relation relation) noexcept;

}  // namespace slip::deb
