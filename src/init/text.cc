#include "init/text.h"

namespace slip::init {
namespace {

constexpr char kHex[] = "0123456789abcdef";

bool is_plain(unsigned char byte) { return byte >= 0x20 && byte < 0x7f && byte != '"' && byte != '\\'; }

}  // namespace

Writer& Writer::text(Text piece) {
  const size_t count = least(piece.size, room());
  memcpy(at_, piece.data, count);
  at_ += count;
  full_ = full_ || count < piece.size;
  return *this;
}

Writer& Writer::number(uint64_t value) {
  unsigned digits = 1;
  for (uint64_t rest = value / 10; rest > 0; rest /= 10) {
    ++digits;
  }
  return padded(value, digits);
}

Writer& Writer::padded(uint64_t value, unsigned digits) {
  char reversed[24];
  for (unsigned i = 0; i < digits; ++i) {
    reversed[i] = static_cast<char>('0' + value % 10);
    value /= 10;
  }
  while (digits > 0) {
    put(reversed[--digits]);
  }
  return *this;
}

Writer& Writer::escaped(Text raw) {
  for (size_t at = 0; at < raw.size;) {
    size_t plain = at;
    while (plain < raw.size && is_plain(static_cast<unsigned char>(raw[plain]))) {
      ++plain;
    }
    text({raw.data + at, plain - at});
    at = plain;
    if (at == raw.size) {
      break;
    }
    const auto byte = static_cast<unsigned char>(raw[at]);
    if (byte == '"' || byte == '\\') {
      put('\\');
      put(static_cast<char>(byte));
      ++at;
    } else if (byte == '\n' || byte == '\t' || byte == '\r') {
      put('\\');
      put(byte == '\n' ? 'n' : byte == '\t' ? 't' : 'r');
      ++at;
    } else if (byte < 0x20 || byte == 0x7f) {
      text("\\u00");
      put(kHex[byte >> 4]);
      put(kHex[byte & 15]);
      ++at;
    } else if (const unsigned size = utf8_size({raw.data + at, raw.size - at}); size > 0) {
      text({raw.data + at, size});
      at += size;
    } else {
      text("\\\\x");
      put(kHex[byte >> 4]);
      put(kHex[byte & 15]);
      ++at;
    }
  }
  return *this;
}

unsigned utf8_size(Text rest) {
  if (rest.empty()) {
    return 0;
  }
  const auto byte = [&](size_t at) { return static_cast<unsigned char>(rest[at]); };
  const unsigned char first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  const unsigned size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || rest.size < size) {
    return 0;
  }
  for (unsigned i = 1; i < size; ++i) {
    if ((byte(i) & 0xc0) != 0x80) {
      return 0;
    }
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool outside = (first == 0xed && byte(1) > 0x9f) || (first == 0xf4 && byte(1) > 0x8f);
  return overlong || outside ? 0 : size;
}

}  // namespace slip::init
