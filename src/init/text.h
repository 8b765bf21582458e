#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

// This room is built against musl without a C++ library: no headers of C++, no heap, no exceptions.
namespace slip::init {

/// Bytes somewhere else, with their number. Does not own them.
struct Text {
  const char* data = "";
  size_t size = 0;

  constexpr Text() = default;
  constexpr Text(const char* bytes, size_t count) : data(bytes), size(count) {}
  // NOLINTNEXTLINE(google-explicit-constructor): a literal is a text
  Text(const char* zero_ended) : data(zero_ended), size(strlen(zero_ended)) {}

  [[nodiscard]] bool empty() const { return size == 0; }
  char operator[](size_t at) const { return data[at]; }
};

inline bool operator==(Text a, Text b) { return a.size == b.size && memcmp(a.data, b.data, a.size) == 0; }

/// The smaller of two numbers, for what <algorithm> would bring.
template <typename T>
constexpr T least(T a, T b) {
  return a < b ? a : b;
}
template <typename T>
constexpr T most(T a, T b) {
  return a > b ? a : b;
}

/// Appends to a fixed buffer; what does not fit is left out, and `full` remembers it.
class Writer {
 public:
  Writer(char* buffer, size_t room) : begin_(buffer), at_(buffer), end_(buffer + room) {}

  Writer& text(Text piece);
  Writer& number(uint64_t value);
  /// `value` with leading zeros up to `digits`.
  Writer& padded(uint64_t value, unsigned digits);
  /// The inside of a JSON string: control characters as \\uXXXX, bytes that are no UTF-8 as the text `\\xNN`.
  Writer& escaped(Text raw);

  [[nodiscard]] Text written() const { return {begin_, static_cast<size_t>(at_ - begin_)}; }
  [[nodiscard]] size_t room() const { return static_cast<size_t>(end_ - at_); }
  [[nodiscard]] bool full() const { return full_; }

 private:
  void put(char byte) {
    if (at_ == end_) {
      full_ = true;
    } else {
      *at_++ = byte;
    }
  }

  char* begin_;
  char* at_;
  char* end_;
  bool full_ = false;
};

/// Bytes of the UTF-8 character at the start of `rest` (RFC 3629: no surrogates, nothing overlong); 0 when there is
/// none.
unsigned utf8_size(Text rest);

/// Most bytes that escaped() makes of one byte.
constexpr size_t kMostEscaped = 6;

}  // namespace slip::init
