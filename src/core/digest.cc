#include "core/digest.h"

#include "core/error.h"

namespace slip {
namespace {

int nibble(char c) noexcept {
  if (c >= '0' && c <= '9') {
    return c - '0';
  }
  if (c >= 'a' && c <= 'f') {
    return c - 'a' + 10;
  }
  return -1;
}

}  // namespace

std::optional<Digest> Digest::parse(std::string_view text) noexcept {
  if (text.starts_with("sha256:")) {
    text.remove_prefix(7);
  }
  if (text.size() != 64) {
    return std::nullopt;
  }
  std::array<std::uint8_t, 32> bytes{};
  for (std::size_t i = 0; i < 32; ++i) {
    const int high = nibble(text[2 * i]);
    const int low = nibble(text[2 * i + 1]);
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    bytes[i] = static_cast<std::uint8_t>(high * 16 + low);
  }
  return Digest(bytes);
}

Digest Digest::from(std::string_view text) {
  const auto parsed = parse(text);
  if (!parsed) {
    throw Error(ErrorKind::Invalid, "`{}` is not a SHA-256 digest", text);
  }
  return *parsed;
}

std::string Digest::hex() const {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(64);
  for (const std::uint8_t b : bytes_) {
    out += kDigits[b >> 4];
    out += kDigits[b & 15];
  }
  return out;
}

}  // namespace slip
