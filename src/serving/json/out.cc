#include "serving/json/out.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstring>
#include <utility>

namespace slip::serving {
namespace {

constexpr std::size_t kRoom = 48;  ///< characters that one number may take, with what write_fast() overwrites

/// The eight decimal digits of a number below 10^8, one in each byte, the highest in the lowest: all are split off at
/// once, first by ten thousand, then by a hundred in each half, then by ten in each quarter.
std::uint64_t spread_digits(std::uint32_t number) noexcept {
  const std::uint64_t halves = number / 10000 | static_cast<std::uint64_t>(number % 10000) << 32;
  const std::uint64_t hundreds = (halves * 10486 >> 20) & 0x0000007f0000007f;  // 10486 / 2^20: 1/100 up to 9999
  const std::uint64_t pairs = hundreds | (halves - 100 * hundreds) << 16;
  const std::uint64_t tens = (pairs * 103 >> 10) & 0x000f000f000f000f;  // 103 / 2^10: 1/10 up to 99
  return tens | (pairs - 10 * tens) << 8;
}

/// The digits of `number`, which has six or nine, at the front of `text`. @return index of the last that is not 0
int write_digits(char (&text)[16], std::uint32_t number, int digits) noexcept {
  constexpr std::uint32_t kEight = 100'000'000;
  char* to = text;
  if (digits == 9) {
    *to++ = static_cast<char>('0' + number / kEight);
  }
  const std::uint64_t spread = spread_digits(digits == 9 ? number % kEight : number * 100);
  const std::uint64_t characters = spread | 0x3030303030303030;
  if constexpr (std::endian::native == std::endian::little) {
    std::memcpy(to, &characters, sizeof characters);
  } else {
    for (int i = 0; i < 8; ++i) {
      to[i] = static_cast<char>(characters >> 8 * i);
    }
  }
  const int significant = (71 - std::countl_zero(spread)) / 8;  // bytes up to the highest that is not 0
  return static_cast<int>(to - text) + significant - 1;
}

/// Six or nine significant digits of a float whose first one has the weight 10^exponent, as %g prints them, with ".0"
/// behind whole numbers. May write up to kRoom characters. @return the end of the text
char* place_digits(char* p, std::uint32_t number, int digits, int exponent) noexcept {
  char text[16];
  const int last = write_digits(text, number, digits);
  if (exponent < 0) {
    std::memcpy(p, "0.0000", 6);
    p += 1 - exponent;
    std::memcpy(p, text, sizeof text);
    return p + last + 1;
  }
  const int whole = exponent + 1;
  std::memcpy(p, text, sizeof text);
  std::memcpy(p + whole + 1, text + whole, 8);
  p[whole] = '.';
  if (last < whole) {
    p[whole + 1] = '0';
    return p + whole + 2;
  }
  return p + last + 2;
}

/// The integer nearest to a number from 0 to 2^32, ties to even: above 2^52 doubles are whole.
std::uint32_t nearest_integer(double number) noexcept {
  return static_cast<std::uint32_t>(std::bit_cast<std::uint64_t>(number + 0x1p52));
}

/// TensorFlow Serving's text of a float between 10^-4 and 10^6; nullptr: it takes the slow way.
///
/// A float has 24 bits and 10^12 = 5^12 * 2^12 has 28 odd ones, so their product is exact in a double, and one rounding
/// to an integer gives the digits that printf gives. Whether six of them give the float back is one exact division.
char* write_fast(char* p, float value) noexcept {
  constexpr double kPowers[] = {1e-4, 1e-3, 1e-2, 1e-1, 1e0, 1e1,  1e2,  1e3, 1e4,
                                1e5,  1e6,  1e7,  1e8,  1e9, 1e10, 1e11, 1e12};
  constexpr int kZero = 4;  // index of 1e0
  const double magnitude = std::fabs(static_cast<double>(value));
  if (!(magnitude >= 1e-4 && magnitude < 1e6)) {
    return nullptr;
  }
  const auto bits = std::bit_cast<std::uint64_t>(magnitude);
  const int binary = static_cast<int>(bits >> 52) - 1023;
  int exponent = binary * 1233 >> 12;  // floor(binary * log10(2)), at most one too small
  exponent += magnitude >= kPowers[kZero + exponent + 1] ? 1 : 0;
  const double power = kPowers[kZero + 5 - exponent];
  const auto six = nearest_integer(magnitude * power);
  const double back = six / power;
  // A decimal exactly between two floats would round twice, once here and once below.
  const bool between = (std::bit_cast<std::uint64_t>(back) & 0x1fffffff) == 0x10000000;
  if (six == 1000000 || between) {
    return nullptr;
  }
  if (std::signbit(value)) {
    *p++ = '-';
  }
  if (static_cast<double>(static_cast<float>(back)) == magnitude) {
    return place_digits(p, six, 6, exponent);
  }
  const auto nine = nearest_integer(magnitude * kPowers[kZero + 8 - exponent]);
  return nine == 1000000000 ? nullptr : place_digits(p, nine, 9, exponent);
}

char* write_fast(char*, double) noexcept { return nullptr; }

/// Any number, finite or not. @param digits  that give every value of T back
template <class T>
char* write_slow(char* p, T value, int digits) noexcept {
  if (!std::isfinite(value)) {
    const std::string_view text = std::isnan(value) ? "NaN" : (value < 0 ? "-Infinity" : "Infinity");
    return std::copy(text.begin(), text.end(), p);
  }
  char* end = std::to_chars(p, p + kRoom, value, std::chars_format::scientific).ptr;
  // The shortest text that gives the value back has "d.ddddde±xx": six digits of it are what %g prints, because no
  // other number of six digits is as near to the value. More digits mean that %g would lose something.
  const char* e = std::find(p, end, 'e');
  const bool six = e - p <= 7 + (*p == '-' ? 1 : 0);
  end = std::to_chars(p, p + kRoom, value, std::chars_format::general, six ? 6 : digits).ptr;
  if (std::string_view(p, static_cast<std::size_t>(end - p)).find_first_of(".e") == std::string_view::npos) {
    *end++ = '.';
    *end++ = '0';
  }
  return end;
}

template <class T>
char* write_number(char* p, T value) noexcept {
  char* end = write_fast(p, value);
  return end != nullptr ? end : write_slow(p, value, sizeof(T) == 4 ? 9 : 17);
}

}  // namespace

void JsonOut::new_line() {
  out_.push_back('\n');
  out_.append(levels_.size() * indent_, ' ');
}

void JsonOut::prefix() {
  if (levels_.empty()) {
    return;
  }
  Level& level = levels_.back();
  if (level.array) {
    if (level.count > 0) {
      out_.push_back(',');
      if (single_line_) {
        out_.push_back(' ');
      }
    }
    if (!single_line_) {
      new_line();
    }
  } else if (level.count % 2 == 1) {
    out_ += ": ";
  } else {
    if (level.count > 0) {
      out_.push_back(',');
    }
    new_line();
  }
  ++level.count;
}

void JsonOut::begin_object() {
  prefix();
  levels_.push_back({false, 0});
  out_.push_back('{');
}

void JsonOut::end_object() {
  const bool empty = levels_.back().count == 0;
  levels_.pop_back();
  if (!empty) {
    new_line();
  }
  out_.push_back('}');
}

void JsonOut::begin_array() {
  prefix();
  levels_.push_back({true, 0});
  out_.push_back('[');
}

void JsonOut::end_array() {
  const bool empty = levels_.back().count == 0;
  levels_.pop_back();
  if (!empty && !single_line_) {
    new_line();
  }
  out_.push_back(']');
}

void JsonOut::key(std::string_view name) { string(name); }

void JsonOut::string(std::string_view text) {
  prefix();
  append_json_string(out_, text);
}

void JsonOut::boolean(bool value) {
  prefix();
  out_ += value ? "true" : "false";
}

void JsonOut::number(std::int64_t value) {
  prefix();
  char buffer[24];
  out_.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void JsonOut::number(std::uint64_t value) {
  prefix();
  char buffer[24];
  out_.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

template <class T>
void JsonOut::write_decimal(T value) {
  prefix();
  char buffer[kRoom];
  out_.append(buffer, write_number(buffer, value));
}

template <class T>
void JsonOut::write_decimals(const T* values, std::size_t count) {
  if (count == 0) {
    return;
  }
  write_decimal(values[0]);  // with whatever stands before the first
  const std::string between = single_line_ ? ", " : ",\n" + std::string(levels_.size() * indent_, ' ');
  constexpr std::size_t kPiece = 256;
  for (std::size_t at = 1; at < count; at += kPiece) {
    const std::size_t end = std::min(count, at + kPiece);
    const std::size_t start = out_.size();
    out_.resize(start + (end - at) * (between.size() + kRoom));
    char* p = out_.data() + start;
    for (std::size_t i = at; i < end; ++i) {
      if (single_line_) {
        std::memcpy(p, ", ", 2);
      } else {
        std::memcpy(p, between.data(), between.size());
      }
      p = write_number(p + between.size(), values[i]);
    }
    out_.resize(static_cast<std::size_t>(p - out_.data()));
  }
  levels_.back().count += static_cast<unsigned>(count - 1);
}

void JsonOut::decimal(float value) { write_decimal(value); }
void JsonOut::decimal(double value) { write_decimal(value); }
void JsonOut::decimals(const float* values, std::size_t count) { write_decimals(values, count); }
void JsonOut::decimals(const double* values, std::size_t count) { write_decimals(values, count); }

void JsonOut::raw(std::string_view json) {
  prefix();
  out_ += json;
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out.push_back(kHex[c >> 4]);
          out.push_back(kHex[c & 15]);
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

std::string error_json(std::string_view message) {
  JsonOut out;
  out.begin_object();
  out.key("error");
  out.string(message);
  out.end_object();
  return out.take();
}

}  // namespace slip::serving
