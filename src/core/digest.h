#pragma once

#include <array>
#include <compare>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

namespace slip {

/// A SHA-256 value. Text forms: `hex()` (64 lower-case digits) and `text()` ("sha256:" + hex, the OCI form).
/// @source OCI image-spec v1.1 descriptor.md "Digests"
class Digest {
 public:
  constexpr Digest() = default;
  explicit constexpr Digest(const std::array<std::uint8_t, 32>& bytes) : bytes_(bytes) {}

  /// Accepts "sha256:HEX" and bare HEX, lower case only; nullopt for anything else.
  static std::optional<Digest> parse(std::string_view text) noexcept;
  /// As parse(), but throws Error(Invalid) that quotes the text.
  static Digest from(std::string_view text);

  [[nodiscard]] std::string hex() const;
  [[nodiscard]] std::string text() const { return "sha256:" + hex(); }
  /// First 12 hex digits, for people.
  [[nodiscard]] std::string brief() const { return hex().substr(0, 12); }
  [[nodiscard]] const std::array<std::uint8_t, 32>& bytes() const noexcept { return bytes_; }
  /// True for the default value, which no content has.
  [[nodiscard]] bool empty() const noexcept { return *this == Digest{}; }
  auto operator<=>(const Digest&) const = default;

 private:
  std::array<std::uint8_t, 32> bytes_{};
};

}  // namespace slip

template <>
struct std::hash<slip::Digest> {
  std::size_t operator()(const slip::Digest& d) const noexcept {
    std::size_t h = 0;
    for (std::size_t i = 0; i < sizeof h; ++i) {
      h = (h << 8) | d.bytes()[i];
    }
    return h;
  }
};
