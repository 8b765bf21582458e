#include "serving/proto/wire.h"

namespace slip::serving {

std::optional<std::uint64_t> WireReader::take_varint(std::string_view& packed) noexcept {
  std::uint64_t value = 0;
  for (std::size_t i = 0; i < packed.size() && i < 10; ++i) {
    const auto byte = static_cast<unsigned char>(packed[i]);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << (7 * i);
    if (byte < 0x80) {
      packed.remove_prefix(i + 1);
      return value;
    }
  }
  return std::nullopt;
}

bool WireReader::next() noexcept {
  if (at_ == end_ || !ok_) {
    return false;
  }
  std::string_view rest(at_, static_cast<std::size_t>(end_ - at_));
  const auto tag = take_varint(rest);
  if (!tag || *tag > 0xffffffffu || (*tag >> 3) == 0) {
    return malformed();
  }
  field_ = static_cast<std::uint32_t>(*tag >> 3);
  switch (*tag & 7) {
    case 0: {
      type_ = Type::Varint;
      const auto value = take_varint(rest);
      if (!value) {
        return malformed();
      }
      number_ = *value;
      break;
    }
    case 1:
    case 5: {
      type_ = (*tag & 7) == 1 ? Type::Fixed64 : Type::Fixed32;
      const std::size_t size = type_ == Type::Fixed64 ? 8 : 4;
      if (rest.size() < size) {
        return malformed();
      }
      number_ = 0;
      std::memcpy(&number_, rest.data(), size);
      rest.remove_prefix(size);
      break;
    }
    case 2: {
      type_ = Type::Bytes;
      const auto size = take_varint(rest);
      if (!size || *size > rest.size()) {
        return malformed();
      }
      bytes_ = rest.substr(0, *size);
      rest.remove_prefix(*size);
      break;
    }
    default: return malformed();
  }
  at_ = rest.data();
  return true;
}

std::optional<WireEntry> WireEntry::read(std::string_view bytes) noexcept {
  WireReader r(bytes);
  WireEntry entry;
  while (r.next()) {
    if (r.is(1, WireReader::Type::Bytes)) {
      entry.key = r.bytes();
    } else if (r.is(2, WireReader::Type::Bytes)) {
      entry.value = r.bytes();
    }
  }
  return r.ok() ? std::optional(entry) : std::nullopt;
}

}  // namespace slip::serving
