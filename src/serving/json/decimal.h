#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

/// Decimal numbers read eight characters at a time. In a header, so that they become part of the loops over a list.
namespace slip::serving {

/// Powers of ten that a double holds exactly.
inline constexpr double kPowersOfTen[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                          1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
/// 10^i for the digits of one word.
inline constexpr std::uint64_t kPlaces[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/// Value of up to eight digits at the front of `eight`, which lie in the order of memory; `count` is how many there
/// are. Meaningless when there is none.
///
/// The digits are moved to the end of the word, which leaves noughts at its front, and three multiplications add all
/// eight places up.
inline std::uint64_t eight_digits(std::uint64_t eight, unsigned& count) noexcept {
  const std::uint64_t values = eight ^ 0x3030303030303030;
  const std::uint64_t others = ((values + 0x7676767676767676) | values) >> 7 & 0x0101010101010101;  // bytes beyond 9
  const int bits = std::countr_zero(others);
  count = static_cast<unsigned>(bits) / 8;
  std::uint64_t digits = values << (-bits & 63);
  digits = digits * 10 + (digits >> 8);
  return ((digits & 0x000000ff000000ff) * (100 + (1000000ull << 32)) +
          (digits >> 16 & 0x000000ff000000ff) * (1 + (10000ull << 32))) >>
         32;
}

/// The digits at `p`, eight at most. @pre eight characters can be read
inline std::uint64_t eight_digits_at(const char* p, unsigned& count) noexcept {
  std::uint64_t eight = 0;
  std::memcpy(&eight, p, sizeof eight);
  return eight_digits(eight, count);
}

/// A number without an exponent, of at most 18 digits and seven of them before its point.
struct PlainDecimal {
  std::uint64_t mantissa;  ///< below 10^18
  unsigned fraction;       ///< digits behind the point
  bool negative;

  [[nodiscard]] double value() const noexcept;
  /// Takes the digits behind the first eight of the fraction. @param whole  how many stand before the point
  /// @return behind them, nullptr: they are too many or reach the text's end
  const char* take_more(const char* p, const char* end, unsigned whole) noexcept;
};

/// The double nearest to mantissa / 10^fraction, ties to even. @pre 0 < mantissa, fraction <= 22
double nearest_quotient(std::uint64_t mantissa, unsigned fraction) noexcept;

/// The nearest double. Up to 2^53 both operands are exact, so that one division rounds once (Clinger's fast path).
inline double PlainDecimal::value() const noexcept {
  const double magnitude = mantissa >> 53 == 0
                               ? static_cast<double>(static_cast<std::int64_t>(mantissa)) / kPowersOfTen[fraction]
                               : nearest_quotient(mantissa, fraction);
  return negative ? -magnitude : magnitude;
}

/// Sign, digits, point, eight digits, and what stands behind them.
inline constexpr std::ptrdiff_t kDecimalReach = 1 + 7 + 1 + 8 + 1;

/// Reads the sign and digits of one word by word, no digit looked at alone. @return behind it, where anything may
/// stand; nullptr: it is another number or none. @pre kDecimalReach characters can be read
inline const char* take_plain_decimal(const char* p, const char* end, PlainDecimal& number) noexcept {
  if (std::endian::native != std::endian::little) {
    return nullptr;
  }
  number.negative = *p == '-';
  p += number.negative ? 1 : 0;
  unsigned whole = 0;
  number.mantissa = eight_digits_at(p, whole);
  number.fraction = 0;
  if (whole - 1 > 6 || (*p == '0' && whole > 1)) {
    return nullptr;
  }
  p += whole;
  if (*p == '.') {
    const std::uint64_t behind = eight_digits_at(p + 1, number.fraction);
    if (number.fraction == 0) {
      return nullptr;
    }
    number.mantissa = number.mantissa * kPlaces[number.fraction] + behind;
    p += number.fraction + 1;
    if (number.fraction == 8) {
      return number.take_more(p, end, whole);
    }
  }
  return p;
}

/// The same, and the number ends there. nullptr also when the text's end is too near.
inline const char* read_plain_decimal(const char* p, const char* end, PlainDecimal& number) noexcept {
  if (end - p < kDecimalReach || (p = take_plain_decimal(p, end, number)) == nullptr) {
    return nullptr;
  }
  const auto next = static_cast<unsigned char>(*p);
  const bool goes_on = static_cast<unsigned char>(next - '0') <= 9 || (next | 0x20) == 'e';
  return goes_on ? nullptr : p;
}

}  // namespace slip::serving
