#include "serving/json/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <limits>

namespace slip::serving {
namespace {

constexpr double kPowers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                              1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }

/// Value of up to eight digits at the front of `eight`, which lie in the order of memory; `count` is how many there
/// are.
///
/// The bytes before the first that is no digit are moved to the end of the word, noughts fill its front, and three
/// multiplications add all eight places up.
inline std::uint64_t eight_digits(std::uint64_t eight, unsigned& count) noexcept {
  constexpr std::uint64_t kZeros = 0x3030303030303030;
  const std::uint64_t others =
      ((eight + 0x4646464646464646) | (eight - kZeros) | eight) & 0x8080808080808080;  // bytes beyond '0'..'9'
  count = others == 0 ? 8u : static_cast<unsigned>(std::countr_zero(others)) / 8;
  if (count == 0) {
    return 0;
  }
  std::uint64_t digits = eight;
  if (count < 8) {
    digits = eight << (64 - 8 * count) | kZeros >> (8 * count);
  }
  digits -= kZeros;
  digits = digits * 10 + (digits >> 8);
  return ((digits & 0x000000ff000000ff) * (100 + (1000000ull << 32)) +
          (digits >> 16 & 0x000000ff000000ff) * (1 + (10000ull << 32))) >>
         32;
}

constexpr std::uint64_t kPlaces[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000, 100000000};

/// The digits at `p`, eight at most. @pre eight characters can be read
inline std::uint64_t eight_digits_at(const char* p, unsigned& count) noexcept {
  std::uint64_t eight = 0;
  std::memcpy(&eight, p, sizeof eight);
  return eight_digits(eight, count);
}

/// Adds the digits at `p` to `mantissa`, which may wrap when there are more than 19.
const char* take_digits(const char* p, const char* end, std::uint64_t& mantissa) noexcept {
  while (p != end && is_digit(*p)) {
    mantissa = mantissa * 10 + static_cast<std::uint64_t>(*p++ - '0');
  }
  return p;
}

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

bool JsonScanner::open() noexcept {
  if (++depth_ > kMaxDepth) {
    return fail("Nested deeper than 64 levels.");
  }
  ++at_;
  return true;
}

bool JsonScanner::next_element() noexcept {
  const char c = peek();
  if (c == ',') {
    ++at_;
    return true;
  }
  if (c == ']') {
    close();
    return false;
  }
  return fail("Missing a comma or ] after an array element.");
}

bool JsonScanner::next_member() noexcept {
  const char c = peek();
  if (c == ',') {
    ++at_;
    return true;
  }
  if (c == '}') {
    close();
    return false;
  }
  return fail("Missing a comma or } after an object member.");
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

/// A number of at most eight digits before its point and eight behind it, without an exponent: two words are read and
/// no character is looked at alone. nullptr: it is another one, or too near to the end of the text.
const char* JsonScanner::short_number(JsonNumber& number, const char* p) const noexcept {
  constexpr std::ptrdiff_t kReach = 8 + 1 + 8 + 1;
  if (std::endian::native != std::endian::little || end_ - p < kReach) {
    return nullptr;
  }
  unsigned whole = 0;
  std::uint64_t mantissa = eight_digits_at(p, whole);
  if (whole == 0 || (*p == '0' && whole > 1)) {
    return nullptr;
  }
  p += whole;
  unsigned fraction = 0;
  if (*p == '.') {
    const std::uint64_t behind = eight_digits_at(p + 1, fraction);
    if (fraction == 0) {
      return nullptr;
    }
    mantissa = mantissa * kPlaces[fraction] + behind;
    p += fraction + 1;
  }
  if (is_digit(*p) || (*p | 0x20) == 'e') {
    return nullptr;
  }
  if (mantissa >> 53 != 0) {
    return nullptr;
  }
  const double value = static_cast<double>(mantissa) / kPowers[fraction];
  number.integer = fraction == 0;
  number.magnitude = mantissa;
  number.value = number.negative ? -value : value;
  return p;
}

bool JsonScanner::number(JsonNumber& number) noexcept {
  const char* const start = at_;
  const char* p = at_;
  number.negative = p != end_ && *p == '-';
  p += number.negative ? 1 : 0;
  if (const char* end = short_number(number, p); end != nullptr) {
    at_ = end;
    return true;
  }
  if (p == end_ || !is_digit(*p)) {
    at_ = p;
    return special_number(number, start);
  }
  std::uint64_t mantissa = 0;
  const char* const digits = p;
  if (*p == '0') {
    ++p;
  } else {
    p = take_digits(p, end_, mantissa);
  }
  auto count = p - digits;
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
  // Both are exact when the mantissa has at most 53 bits, so one division rounds once (Clinger's fast path).
  if (mantissa >> 53 != 0) {
    const bool integer = number.integer;
    const bool done = slow_number(number, start);
    number.integer = integer;
    return done;
  }
  const double value = static_cast<double>(mantissa) / kPowers[fraction];
  number.value = number.negative ? -value : value;
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
    case '{':
      if (!open()) {
        return false;
      }
      if (peek() == '}') {
        close();
        return true;
      }
      do {
        if (!key(scratch) || !skip_value()) {
          return false;
        }
      } while (next_member());
      return !failed();
    case '[':
      if (!open()) {
        return false;
      }
      if (peek() == ']') {
        close();
        return true;
      }
      do {
        if (!skip_value()) {
          return false;
        }
      } while (next_element());
      return !failed();
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
