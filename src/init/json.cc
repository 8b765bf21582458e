#include "init/json.h"

namespace slip::init {

void JsonReader::fail(const char* reason, Text detail) {
  if (failed_) {
    return;
  }
  failed_ = true;
  Writer out(reason_, sizeof reason_ - 1);
  out.text(reason);
  if (!detail.empty()) {
    out.text(" `").escaped({detail.data, least<size_t>(detail.size, 60)}).text("`");
  }
  reason_[out.written().size] = '\0';
}

void JsonReader::skip_space() {
  while (at_ < json_.size && (json_[at_] == ' ' || json_[at_] == '\n' || json_[at_] == '\t' || json_[at_] == '\r')) {
    ++at_;
  }
  place_ = at_;
}

void JsonReader::open(char bracket) {
  if (failed_) {
    return;
  }
  skip_space();
  if (peek() != bracket) {
    fail(bracket == '{' ? "an object is expected here" : "a list is expected here");
    return;
  }
  ++at_;
  first_ = true;
}

bool JsonReader::next(char closing) {
  if (failed_) {
    return false;
  }
  skip_space();
  if (peek() == closing) {
    ++at_;
    first_ = false;
    return false;
  }
  if (!first_) {
    if (peek() != ',') {
      fail(closing == '}' ? "`,` or `}` is expected here" : "`,` or `]` is expected here");
      return false;
    }
    ++at_;
    skip_space();
  }
  first_ = false;
  return true;
}

bool JsonReader::next_key(Text& key) {
  if (!next('}')) {
    return false;
  }
  string(&key);
  const size_t key_place = place_;
  skip_space();
  if (peek() != ':') {
    fail("`:` is expected here");
    return false;
  }
  ++at_;
  place_ = key_place;
  return !failed_;
}

bool JsonReader::next_item() { return next(']'); }

void JsonReader::keep(char byte) {
  if (used_ == room_) {
    fail("the file holds too much text");
  } else {
    arena_[used_++] = byte;
  }
}

void JsonReader::keep_utf8(uint32_t value) {
  const auto tail = [&](unsigned shift) { keep(static_cast<char>(0x80 | ((value >> shift) & 0x3f))); };
  if (value < 0x80) {
    keep(static_cast<char>(value));
  } else if (value < 0x800) {
    keep(static_cast<char>(0xc0 | (value >> 6)));
    tail(0);
  } else if (value < 0x10000) {
    keep(static_cast<char>(0xe0 | (value >> 12)));
    tail(6);
    tail(0);
  } else {
    keep(static_cast<char>(0xf0 | (value >> 18)));
    tail(12);
    tail(6);
    tail(0);
  }
}

bool JsonReader::code_point(uint32_t& value) {
  value = 0;
  for (int i = 0; i < 4; ++i, ++at_) {
    const char digit = peek();
    uint32_t bits = 0;
    if (digit >= '0' && digit <= '9') {
      bits = static_cast<uint32_t>(digit - '0');
    } else if ((digit | 0x20) >= 'a' && (digit | 0x20) <= 'f') {
      bits = static_cast<uint32_t>((digit | 0x20) - 'a' + 10);
    } else {
      place_ = at_;
      fail("four hexadecimal digits are expected here");
      return false;
    }
    value = (value << 4) | bits;
  }
  return true;
}

/// Behind a backslash.
bool JsonReader::escape() {
  constexpr char kFrom[] = "\"\\/bfnrt";
  constexpr char kTo[] = "\"\\/\b\f\n\r\t";
  const char letter = peek();
  for (unsigned i = 0; i < sizeof kFrom - 1; ++i) {
    if (letter == kFrom[i]) {
      ++at_;
      keep(kTo[i]);
      return true;
    }
  }
  place_ = at_;
  if (letter != 'u') {
    fail("no such escape");
    return false;
  }
  ++at_;
  uint32_t value = 0;
  if (!code_point(value)) {
    return false;
  }
  if (value >= 0xd800 && value < 0xdc00 && peek() == '\\' && at_ + 1 < json_.size && json_[at_ + 1] == 'u') {
    at_ += 2;
    uint32_t low = 0;
    if (!code_point(low)) {
      return false;
    }
    value = low >= 0xdc00 && low < 0xe000 ? 0x10000 + ((value - 0xd800) << 10) + (low - 0xdc00) : 0xd800;
  }
  if (value == 0 || (value >= 0xd800 && value < 0xe000)) {
    fail(value == 0 ? "a zero byte cannot be passed to a program" : "half a surrogate pair is no character");
    return false;
  }
  keep_utf8(value);
  return true;
}

const char* JsonReader::string(Text* text) {
  if (failed_) {
    return "";
  }
  skip_space();
  const size_t begin = at_;
  if (peek() != '"' || at_ >= json_.size) {
    fail("a string is expected here");
    return "";
  }
  ++at_;
  const size_t start = used_;
  while (!failed_) {
    if (at_ >= json_.size) {
      fail("the string has no end");
      break;
    }
    const char letter = json_[at_];
    if (letter == '"') {
      ++at_;
      break;
    }
    if (letter == '\\') {
      ++at_;
      escape();
      continue;
    }
    const unsigned size = utf8_size({json_.data + at_, json_.size - at_});
    if (static_cast<unsigned char>(letter) < 0x20 || size == 0) {
      place_ = at_;
      fail(size == 0 ? "a byte that is no UTF-8" : "a control character inside a string");
      break;
    }
    for (unsigned i = 0; i < size; ++i) {
      keep(json_[at_++]);
    }
  }
  if (failed_) {
    return "";
  }
  place_ = begin;
  keep('\0');
  if (failed_) {
    return "";
  }
  if (text != nullptr) {
    *text = {arena_ + start, used_ - 1 - start};
  }
  return arena_ + start;
}

uint64_t JsonReader::number(uint64_t most) {
  if (failed_) {
    return 0;
  }
  skip_space();
  const size_t begin = at_;
  uint64_t value = 0;
  while (peek() >= '0' && peek() <= '9' && at_ - begin < 18) {
    value = value * 10 + static_cast<uint64_t>(json_[at_++] - '0');
  }
  const char behind = peek();
  const bool whole = at_ > begin && (json_[begin] != '0' || at_ == begin + 1) && behind != '.' && behind != 'e' &&
                     behind != 'E' && !(behind >= '0' && behind <= '9');
  if (!whole) {
    fail("a whole number is expected here");
  } else if (value > most) {
    fail("the number is too large");
  }
  return value;
}

bool JsonReader::boolean() {
  if (failed_) {
    return false;
  }
  skip_space();
  const Text words[] = {"true", "false"};
  for (const Text word : words) {
    if (json_.size - at_ >= word.size && Text(json_.data + at_, word.size) == word) {
      at_ += word.size;
      return word.size == 4;
    }
  }
  fail("true or false is expected here");
  return false;
}

void JsonReader::end() {
  if (failed_) {
    return;
  }
  skip_space();
  if (at_ != json_.size) {
    fail("nothing more is expected here");
  }
}

}  // namespace slip::init
