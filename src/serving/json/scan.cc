#include "serving/json/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <iterator>
#include <limits>

namespace slip::serving {
namespace {

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Adds the digits at `p` to `mantissa`, which may wrap when there are more than 19.
const char* take_digits(const char* p, const char* end, std::uint64_t& mantissa) noexcept {
  unsigned count = 8;
  while (count == 8 && end - p >= 8 && std::endian::native == std::endian::little) {
    const std::uint64_t digits = eight_digits_at(p, count);
    if (count != 0) {
      mantissa = mantissa * kPlaces[count] + digits;
    }
    p += count;
  }
  while (p != end && is_digit(*p)) {
    mantissa = mantissa * 10 + static_cast<std::uint64_t>(*p++ - '0');
  }
  return p;
}

__extension__ using Wide = unsigned __int128;

/// 5^i, shifted until its highest bit is set.
struct Five {
  std::uint64_t digits;
  int shift;
};
constexpr auto kFives = [] {
  std::array<Five, std::size(kPowersOfTen)> fives{};
  std::uint64_t power = 1;
  for (Five& five : fives) {
    five.shift = std::countl_zero(power);
    five.digits = power << five.shift;
    power *= 5;
  }
  return fives;
}();

void append_utf8(std::string& out, unsigned code) {
  if (code < 0x80) {
    out.push_back(static_cast<char>(code));
  } else if (code < 0x800) {
    out.push_back(static_cast<char>(0xc0 | code >> 6));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else if (code < 0x10000) {
    out.push_back(static_cast<char>(0xe0 | code >> 12));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  } else {
    out.push_back(static_cast<char>(0xf0 | code >> 18));
    out.push_back(static_cast<char>(0x80 | (code >> 12 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code >> 6 & 0x3f)));
    out.push_back(static_cast<char>(0x80 | (code & 0x3f)));
  }
}

}  // namespace

/// The quotient of the mantissa and 5^fraction, both with their highest bit set, has 64 bits, of which a double takes
/// 53; those behind them and the remainder say how to round.
double nearest_quotient(std::uint64_t mantissa, unsigned fraction) noexcept {
  const Five& five = kFives[fraction];
  const int shift = std::countl_zero(mantissa);
  const std::uint64_t dividend = mantissa << shift;
  const int half = dividend >= five.digits ? 1 : 0;  // one bit less, so that the quotient stays below 2^64
  const Wide wide = static_cast<Wide>(dividend) << (64 - half);
  const auto quotient = static_cast<std::uint64_t>(wide / five.digits);
  const bool exact = quotient * five.digits == static_cast<std::uint64_t>(wide);  // the remainder is below 2^64
  std::uint64_t digits = quotient >> 11;
  const std::uint64_t left = quotient & 0x7ff;
  digits += left > 0x400 || (left == 0x400 && (!exact || (digits & 1) != 0)) ? 1 : 0;
  // quotient * 2^-64 * 2^(half + five.shift - shift - fraction), and the exponent of a double stands above its 52 bits
  const int exponent = 11 - 64 + half + five.shift - shift - static_cast<int>(fraction);
  // The highest of the 53 bits adds one to the exponent, and so does a carry out of them.
  return std::bit_cast<double>((static_cast<std::uint64_t>(exponent + 1023 + 52 - 1) << 52) + digits);
}

const char* PlainDecimal::take_more(const char* p, const char* end, unsigned whole) noexcept {
  const bool nought = mantissa < 100'000'000;  // before the point, which is then no digit of the mantissa
  const char* const first = p;
  p = take_digits(p, end, mantissa);
  fraction += static_cast<unsigned>(p - first);
  return p != end && (nought ? 0 : whole) + static_cast<std::size_t>(fraction) <= 18 ? p : nullptr;
}

JsonScanner::JsonScanner(std::string_view text) noexcept
    : begin_(text.data()), at_(text.data()), end_(text.data() + text.size()) {
  if (text.substr(0, 3) == "\xef\xbb\xbf") {
    at_ += 3;
  }
}

bool JsonScanner::fail(const char* what) noexcept {
  if (error_ == nullptr) {
    error_ = what;
    error_offset_ = static_cast<std::size_t>(at_ - begin_);
  }
  return false;
}

std::string JsonScanner::error() const {
  return std::string("JSON Parse error: ") + error_ + " at offset: " + std::to_string(error_offset_);
}

bool JsonScanner::key(std::string& name) {
  if (peek() != '"') {
    return fail("Missing a name for object member.");
  }
  std::string_view text;
  std::string scratch;
  if (!string(text, scratch)) {
    return false;
  }
  name = text;
  if (peek() != ':') {
    return fail("Missing a colon after a name of object member.");
  }
  ++at_;
  return true;
}

bool JsonScanner::string(std::string_view& value, std::string& scratch) {
  const char* start = ++at_;
  while (at_ != end_ && *at_ != '"' && *at_ != '\\' && static_cast<unsigned char>(*at_) >= 0x20) {
    ++at_;
  }
  if (at_ != end_ && *at_ == '"') {
    value = since(start);
    ++at_;
    return true;
  }
  scratch.assign(start, at_);
  while (at_ != end_) {
    const char c = *at_;
    if (c == '"') {
      ++at_;
      value = scratch;
      return true;
    }
    if (c == '\\') {
      if (!escape(scratch)) {
        return false;
      }
    } else if (static_cast<unsigned char>(c) < 0x20) {
      return fail(c == '\0' ? "Missing a closing quotation mark in string." : "Invalid encoding in string.");
    } else {
      scratch.push_back(c);
      ++at_;
    }
  }
  return fail("Missing a closing quotation mark in string.");
}

bool JsonScanner::hex4(unsigned& unit) noexcept {
  if (left() < 4) {
    return fail("Incorrect hex digit after \\u escape in string.");
  }
  const auto [end, error] = std::from_chars(at_, at_ + 4, unit, 16);
  if (error != std::errc{} || end != at_ + 4) {
    return fail("Incorrect hex digit after \\u escape in string.");
  }
  at_ += 4;
  return true;
}

bool JsonScanner::escape(std::string& out) {
  ++at_;
  const char c = at_ == end_ ? '\0' : *at_++;
  switch (c) {
    case '"':
    case '\\':
    case '/': out.push_back(c); return true;
    case 'b': out.push_back('\b'); return true;
    case 'f': out.push_back('\f'); return true;
    case 'n': out.push_back('\n'); return true;
    case 'r': out.push_back('\r'); return true;
    case 't': out.push_back('\t'); return true;
    case 'u': break;
    default: return fail("Invalid escape character in string.");
  }
  unsigned unit = 0;
  if (!hex4(unit)) {
    return false;
  }
  if (unit >= 0xd800 && unit <= 0xdfff) {
    unsigned low = 0;
    if (unit >= 0xdc00 || left() < 2 || at_[0] != '\\' || at_[1] != 'u') {
      return fail("The surrogate pair in string is invalid.");
    }
    at_ += 2;
    if (!hex4(low)) {
      return false;
    }
    if (low < 0xdc00 || low > 0xdfff) {
      return fail("The surrogate pair in string is invalid.");
    }
    unit = 0x10000 + ((unit - 0xd800) << 10) + (low - 0xdc00);
  }
  append_utf8(out, unit);
  return true;
}

bool JsonScanner::word(std::string_view text) noexcept {
  if (std::string_view(at_, left()).substr(0, text.size()) != text) {
    return false;
  }
  at_ += text.size();
  return true;
}

bool JsonScanner::special_number(JsonNumber& number, const char* start) noexcept {
  if (word("Infinity") || word("Inf")) {
    number.value = std::numeric_limits<double>::infinity();
  } else if (word("NaN")) {
    number.value = std::numeric_limits<double>::quiet_NaN();
  } else {
    at_ = start;
    return fail("Invalid value.");
  }
  number.integer = false;
  if (number.negative) {
    number.value = -number.value;
  }
  return true;
}

bool JsonScanner::number(JsonNumber& number) noexcept {
  PlainDecimal decimal{};
  const char* const end = read_plain_decimal(at_, end_, decimal);
  if (end == nullptr) {
    return other_number(number);
  }
  number = {decimal.fraction == 0, decimal.negative, decimal.mantissa, decimal.value()};
  at_ = end;
  return true;
}

bool JsonScanner::other_number(JsonNumber& number) noexcept {
  const char* const start = at_;
  const char* p = at_;
  number.negative = p != end_ && *p == '-';
  p += number.negative ? 1 : 0;
  if (p == end_ || !is_digit(*p)) {
    at_ = p;
    return special_number(number, start);
  }
  std::uint64_t mantissa = 0;
  std::ptrdiff_t count = 0;
  if (*p == '0') {
    ++p;
  } else {
    const char* const first = p;
    p = take_digits(p, end_, mantissa);
    count = p - first;
  }
  std::ptrdiff_t fraction = 0;
  if (p != end_ && *p == '.') {
    const char* const first = ++p;
    p = take_digits(p, end_, mantissa);
    fraction = p - first;
    count += fraction;
    if (fraction == 0) {
      at_ = p;
      return fail("Miss fraction part in number.");
    }
  }
  at_ = p;
  if (count > 18 || fraction > 22 || (p != end_ && (*p == 'e' || *p == 'E'))) {
    return slow_number(number, start);
  }
  number.integer = fraction == 0;
  number.magnitude = mantissa;
  number.value = mantissa >> 53 == 0 ? static_cast<double>(mantissa) / kPowersOfTen[fraction]
                                     : nearest_quotient(mantissa, static_cast<unsigned>(fraction));
  number.value = number.negative ? -number.value : number.value;
  return true;
}

/// at_ is behind the digits and the fraction, perhaps before an exponent.
bool JsonScanner::slow_number(JsonNumber& number, const char* start) noexcept {
  bool integer = std::memchr(start, '.', static_cast<std::size_t>(at_ - start)) == nullptr;
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    integer = false;
    ++at_;
    at_ += at_ != end_ && (*at_ == '+' || *at_ == '-') ? 1 : 0;
    if (at_ == end_ || !is_digit(*at_)) {
      return fail("Miss exponent in number.");
    }
    while (at_ != end_ && is_digit(*at_)) {
      ++at_;
    }
  }
  const auto [end, error] = std::from_chars(start, at_, number.value);
  if (error == std::errc::result_out_of_range) {
    // Too large and too small look the same here; strtod tells them apart. Such numbers are rare.
    const std::string copy(start, at_);
    number.value = std::strtod(copy.c_str(), nullptr);
    if (std::isinf(number.value)) {
      at_ = start;
      return fail("Number too big to be stored in double.");
    }
  }
  number.integer = false;
  if (integer) {
    const char* digits = start + (number.negative ? 1 : 0);
    const auto parsed = std::from_chars(digits, at_, number.magnitude);
    number.integer = parsed.ec == std::errc{} && (!number.negative || number.magnitude <= std::uint64_t{1} << 63);
  }
  return true;
}

char JsonScanner::literal() noexcept {
  for (const std::string_view text : {"true", "false", "null"}) {
    if (word(text)) {
      return text[0];
    }
  }
  return '\0';
}

bool JsonScanner::skip_value() {
  std::string scratch;
  std::string_view text;
  JsonNumber ignored;
  switch (peek()) {
    case '{': return members(scratch, [this] { return skip_value(); });
    case '[': return elements([this] { return skip_value(); });
    case '"': return string(text, scratch);
    case 't':
    case 'f':
    case 'n': return literal() != '\0' || fail("Invalid value.");
    default: return number(ignored);
  }
}

bool JsonScanner::at_end() noexcept {
  skip_blanks();
  return at_ == end_ || fail("The document root must not be followed by other values.");
}

std::string excerpt(std::string_view json) {
  constexpr std::size_t kLongest = 256;
  return json.size() <= kLongest ? std::string(json) : std::string(json.substr(0, kLongest)) + "...TRUNCATED";
}

bool decode_base64(std::string_view text, std::string& out) {
  static constexpr auto kValues = [] {
    std::array<signed char, 256> values{};
    values.fill(-1);
    constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    for (std::size_t i = 0; i < kAlphabet.size(); ++i) {
      values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<signed char>(i);
    }
    values['-'] = 62;
    values['_'] = 63;
    return values;
  }();
  while (!text.empty() && text.back() == '=') {
    text.remove_suffix(1);
  }
  if (text.size() % 4 == 1) {
    return false;
  }
  out.clear();
  out.reserve(text.size() / 4 * 3 + 2);
  unsigned bits = 0;
  int held = 0;
  for (const char c : text) {
    const int value = kValues[static_cast<unsigned char>(c)];
    if (value < 0) {
      return false;
    }
    bits = bits << 6 | static_cast<unsigned>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out.push_back(static_cast<char>(bits >> held));
    }
  }
  return true;
}

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    const std::size_t n = std::min<std::size_t>(3, bytes.size() - i);
    unsigned bits = 0;
    for (std::size_t j = 0; j < 3; ++j) {
      bits = bits << 8 | (j < n ? static_cast<unsigned char>(bytes[i + j]) : 0u);
    }
    for (std::size_t j = 0; j < 4; ++j) {
      out.push_back(j <= n ? kAlphabet[bits >> (18 - 6 * j) & 63] : '=');
    }
  }
  return out;
}

}  // namespace slip::serving
