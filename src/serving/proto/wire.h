#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace slip::serving {

/// Reads one protocol buffers message, field by field, out of bytes it does not own.
///
/// Serving has no protobuf library in the process, because TensorFlow's libraries bring their own.
/// @source protobuf.dev/programming-guides/encoding
class WireReader {
 public:
  enum class Type { Varint = 0, Fixed64 = 1, Bytes = 2, Fixed32 = 5 };

  explicit WireReader(std::string_view bytes) noexcept : at_(bytes.data()), end_(bytes.data() + bytes.size()) {}

  /// Steps to the next field; false at the end and when the bytes are malformed. Groups count as malformed.
  bool next() noexcept;
  /// No malformed byte has been met.
  [[nodiscard]] bool ok() const noexcept { return ok_; }

  [[nodiscard]] std::uint32_t field() const noexcept { return field_; }
  [[nodiscard]] Type type() const noexcept { return type_; }
  [[nodiscard]] bool is(std::uint32_t field, Type type) const noexcept { return field_ == field && type_ == type; }
  /// The value of a varint, fixed64 or fixed32 field.
  [[nodiscard]] std::uint64_t number() const noexcept { return number_; }
  [[nodiscard]] std::int64_t signed_number() const noexcept { return static_cast<std::int64_t>(number_); }
  /// The content of a field with a length: text, bytes, a message or packed numbers.
  [[nodiscard]] std::string_view bytes() const noexcept { return bytes_; }

  /// Takes one varint at the front of `packed`; nullopt when it is malformed.
  static std::optional<std::uint64_t> take_varint(std::string_view& packed) noexcept;

 private:
  bool malformed() noexcept {
    ok_ = false;
    return false;
  }

  const char* at_;
  const char* end_;
  bool ok_ = true;
  std::uint32_t field_ = 0;
  Type type_ = Type::Varint;
  std::uint64_t number_ = 0;
  std::string_view bytes_;
};

/// One entry of a map<string, Message>; both views point into the bytes read. @return nullopt: malformed
struct WireEntry {
  std::string_view key;
  std::string_view value;
  static std::optional<WireEntry> read(std::string_view bytes) noexcept;
};

/// Appends fields of one message to a string.
class WireWriter {
 public:
  void varint(std::uint32_t field, std::uint64_t value) {
    raw_varint(field << 3);
    raw_varint(value);
  }
  void boolean(std::uint32_t field, bool value) { varint(field, value ? 1 : 0); }
  void bytes(std::uint32_t field, std::string_view value) {
    length(field, value.size());
    out_.append(value);
  }
  void message(std::uint32_t field, const WireWriter& inner) { bytes(field, inner.out_); }
  /// Announces `size` bytes of content that raw() then adds.
  void length(std::uint32_t field, std::size_t size) {
    raw_varint(field << 3 | 2);
    raw_varint(size);
  }
  void fixed32(std::uint32_t field, float value) {
    raw_varint(field << 3 | 5);
    raw(&value, sizeof value);
  }
  void raw(const void* data, std::size_t size) { out_.append(static_cast<const char*>(data), size); }
  void raw_varint(std::uint64_t value) {
    while (value >= 0x80) {
      out_.push_back(static_cast<char>(value | 0x80));
      value >>= 7;
    }
    out_.push_back(static_cast<char>(value));
  }
  [[nodiscard]] const std::string& str() const noexcept { return out_; }
  [[nodiscard]] std::string take() noexcept { return std::move(out_); }

 private:
  std::string out_;
};

}  // namespace slip::serving
