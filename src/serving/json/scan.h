#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "serving/json/decimal.h"

namespace slip::serving {

/// A number as it stands in JSON text.
struct JsonNumber {
  bool integer = false;         ///< no fraction, no exponent, and it fits int64 or uint64
  bool negative = false;        ///< has a minus sign
  std::uint64_t magnitude = 0;  ///< of an integer
  double value = 0;             ///< of any number

  [[nodiscard]] bool fits_int64() const noexcept {
    return integer && magnitude <= (negative ? std::uint64_t{1} << 63 : (std::uint64_t{1} << 63) - 1);
  }
  [[nodiscard]] bool fits_uint64() const noexcept { return integer && (!negative || magnitude == 0); }
  /// @pre fits_int64()
  [[nodiscard]] std::int64_t as_int64() const noexcept {
    return static_cast<std::int64_t>(negative ? ~magnitude + 1 : magnitude);
  }
};

/// Walks JSON text once, without building a tree. Accepts what TensorFlow Serving's parser accepts: RFC 8259, and
/// besides NaN, Inf, Infinity, their negatives and a byte order mark.
///
/// Every function that returns bool returns false at the first malformed byte; error() then tells where and why.
class JsonScanner {
 public:
  /// Nesting beyond this is an error; TensorFlow's largest rank is 254, real requests stay below ten.
  static constexpr int kMaxDepth = 64;

  explicit JsonScanner(std::string_view text) noexcept;

  void skip_blanks() noexcept {
    while (at_ != end_ && (*at_ == ' ' || *at_ == '\n' || *at_ == '\t' || *at_ == '\r')) {
      ++at_;
    }
  }
  /// The next character behind blanks; 0 at the end.
  char peek() noexcept {
    skip_blanks();
    return at_ == end_ ? '\0' : *at_;
  }
  /// Steps over the character that peek() saw.
  void step() noexcept { ++at_; }
  [[nodiscard]] const char* position() const noexcept { return at_; }
  void rewind(const char* position) noexcept { at_ = position; }
  [[nodiscard]] std::string_view since(const char* start) const noexcept {
    return {start, static_cast<std::size_t>(at_ - start)};
  }
  [[nodiscard]] std::size_t left() const noexcept { return static_cast<std::size_t>(end_ - at_); }

  /// Opens an array or object: checks the depth and steps over the bracket.
  bool open() noexcept {
    if (++depth_ > kMaxDepth) {
      return fail("Nested deeper than 64 levels.");
    }
    ++at_;
    return true;
  }
  void close() noexcept {
    --depth_;
    ++at_;
  }
  /// Behind an element: steps over `,` (true) or over `]` (false, and the array is closed). Check failed() on false.
  bool next_element() noexcept { return next(']', "Missing a comma or ] after an array element."); }
  /// As next_element() for `}`.
  bool next_member() noexcept { return next('}', "Missing a comma or } after an object member."); }
  /// A member's name and the colon behind it.
  bool key(std::string& name);
  /// Walks the object that peek() saw: for each member reads its name into `name` and calls `member()`, which reads the
  /// value. False at the first malformed byte and when `member` says false.
  template <class Member>
  bool members(std::string& name, Member&& member) {
    return walk('}', [&] { return key(name) && member(); }, &JsonScanner::next_member);
  }
  /// As members() for the array that peek() saw.
  template <class Element>
  bool elements(Element&& element) {
    return walk(']', element, &JsonScanner::next_element);
  }

  /// A string; the view points into the text, or into `scratch` when it holds escapes.
  bool string(std::string_view& value, std::string& scratch);
  bool number(JsonNumber& number) noexcept;
  /// The quick way through a list: writes its next numbers to `to` for as long as they are plain decimals, `most` at
  /// the utmost. @return how many; `behind` says whether it stands behind one of them, where next_element() is due, or
  /// before an element, which number() or another function reads
  template <class T>
  std::size_t plain_decimals(T* to, std::size_t most, bool& behind) noexcept {
    std::size_t count = 0;
    PlainDecimal number{};
    behind = false;
    const char* at = at_;
    while (count < most) {
      const char* const p = read_plain_decimal(skip_one_blank(at), end_, number);
      if (p == nullptr) {
        break;
      }
      to[count++] = static_cast<T>(number.value());
      at = p;
      if (*p != ',') {
        behind = true;
        break;
      }
      ++at;
    }
    at_ = at;
    return count;
  }
  /// A whole list of `count` plain decimals. False: it is another list, or written in another way; nothing is read.
  template <class T>
  bool short_row(T* to, std::size_t count) noexcept {
    const char* p = skip_one_blank(at_);
    if (p == end_ || *p != '[' || depth_ == kMaxDepth || count == 0) {
      return false;
    }
    PlainDecimal number{};
    for (T* const last = to + count; to != last; ++to) {
      if (end_ - ++p < 1 + kDecimalReach) {
        return false;
      }
      p = take_plain_decimal(p + (*p == ' ' ? 1 : 0), end_, number);
      if (p == nullptr || *p != (to + 1 == last ? ']' : ',')) {
        return false;
      }
      *to = static_cast<T>(number.value());
    }
    at_ = p + 1;
    return true;
  }
  /// Steps over one of true, false, null; returns its first letter, 0 when it is none.
  char literal() noexcept;
  /// Steps over any value, checking it.
  bool skip_value();
  /// Only blanks are left.
  bool at_end() noexcept;

  /// Records the first error. @param what  a text that lives for ever
  bool fail(const char* what) noexcept;
  [[nodiscard]] bool failed() const noexcept { return error_ != nullptr; }
  /// "JSON Parse error: Invalid value. at offset: 12"
  [[nodiscard]] std::string error() const;

 private:
  /// As Python writes lists.
  [[nodiscard]] const char* skip_one_blank(const char* p) const noexcept {
    return p + (p != end_ && *p == ' ' ? 1 : 0);
  }
  template <class One>
  bool walk(char closing, One&& one, bool (JsonScanner::*next_one)()) {
    if (!open()) {
      return false;
    }
    if (peek() == closing) {
      close();
      return true;
    }
    do {
      if (!one()) {
        return false;
      }
    } while ((this->*next_one)());
    return !failed();
  }
  bool next(char closing, const char* missing) noexcept {
    const char c = peek();
    if (c == ',') {
      ++at_;
      return true;
    }
    if (c == closing) {
      close();
      return false;
    }
    return fail(missing);
  }
  bool escape(std::string& out);
  bool hex4(unsigned& unit) noexcept;
  bool word(std::string_view text) noexcept;
  bool other_number(JsonNumber& number) noexcept;
  bool special_number(JsonNumber& number, const char* start) noexcept;
  bool slow_number(JsonNumber& number, const char* start) noexcept;

  const char* begin_;
  const char* at_;
  const char* end_;
  int depth_ = 0;
  const char* error_ = nullptr;
  std::size_t error_offset_ = 0;
};

/// The text of a JSON value, cut for use in an error message.
std::string excerpt(std::string_view json);

/// Decodes base64 (padding optional, both alphabets); false when it is malformed.
bool decode_base64(std::string_view text, std::string& out);
std::string encode_base64(std::string_view bytes);

}  // namespace slip::serving
