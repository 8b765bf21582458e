#include "core/text.h"

#include <array>

#include "core/format.h"
#include "core/utf8.h"

namespace slip {
namespace {

bool blank(char c) noexcept { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

}  // namespace

std::size_t utf8_length(std::string_view s) noexcept {
  const auto at = [&](std::size_t i) { return static_cast<unsigned char>(s[i]); };
  const unsigned char first = at(0);
  std::size_t n = 0;
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    n = 2;
  } else if (first >= 0xe0 && first <= 0xef) {
    n = 3;
  } else if (first >= 0xf0 && first <= 0xf4) {
    n = 4;
  } else {
    return 0;
  }
  if (s.size() < n) {
    return 0;
  }
  for (std::size_t i = 1; i < n; ++i) {
    if ((at(i) & 0xc0) != 0x80) {
      return 0;
    }
  }
  const bool overlong = (first == 0xe0 && at(1) < 0xa0) || (first == 0xf0 && at(1) < 0x90);
  const bool surrogate = first == 0xed && at(1) > 0x9f;
  const bool beyond = first == 0xf4 && at(1) > 0x8f;
  return overlong || surrogate || beyond ? 0 : n;
}

std::optional<TextPosition> first_non_text(std::string_view text) noexcept {
  TextPosition at;
  while (!text.empty()) {
    const std::size_t length = utf8_length(text);
    const auto first = static_cast<unsigned char>(text.front());
    if (length == 0 || (first < 0x20 && first != '\t' && first != '\n' && first != '\r') || first == 0x7f) {
      return at;
    }
    at = first == '\n' ? TextPosition{at.line + 1, 1} : TextPosition{at.line, at.column + length};
    text.remove_prefix(length);
  }
  return std::nullopt;
}

std::vector<std::string_view> split(std::string_view text, char at) {
  std::vector<std::string_view> parts;
  while (true) {
    const std::size_t end = text.find(at);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

std::vector<std::string_view> split_words(std::string_view text) {
  std::vector<std::string_view> words;
  std::size_t i = 0;
  while (i < text.size()) {
    if (blank(text[i])) {
      ++i;
      continue;
    }
    std::size_t end = i;
    while (end < text.size() && !blank(text[end])) {
      ++end;
    }
    words.push_back(text.substr(i, end - i));
    i = end;
  }
  return words;
}

std::string_view trim(std::string_view text) noexcept {
  while (!text.empty() && blank(text.front())) {
    text.remove_prefix(1);
  }
  while (!text.empty() && blank(text.back())) {
    text.remove_suffix(1);
  }
  return text;
}

std::string join(const std::vector<std::string>& parts, std::string_view between) {
  std::string all;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i != 0) {
      all += between;
    }
    all += parts[i];
  }
  return all;
}

std::string to_lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') {
      c = static_cast<char>(c - 'A' + 'a');
    }
  }
  return lower;
}

std::string human_size(std::uint64_t bytes) {
  static constexpr std::array<std::string_view, 5> kUnits = {"B", "kB", "MB", "GB", "TB"};
  if (bytes < 1000) {
    return format("{} B", bytes);
  }
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.95 && unit + 1 < kUnits.size()) {
    value /= 1000;
    ++unit;
  }
  return format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_seconds(double seconds) {
  if (seconds < 1) {
    return format("{:.0f}ms", seconds * 1000);
  }
  if (seconds < 60) {
    return format("{:.1f}s", seconds);
  }
  const auto whole = static_cast<std::uint64_t>(seconds);
  return format("{}m {:02}s", whole / 60, whole % 60);
}

std::string printable(std::string_view foreign) {
  std::string out;
  while (!foreign.empty()) {
    const std::size_t n = utf8_length(foreign);
    const auto first = static_cast<unsigned char>(foreign.front());
    // U+0080 to U+009F are control characters too: U+009B starts a sequence that terminals obey.
    const bool control =
        first < 0x20 || first == 0x7f || (n == 2 && first == 0xc2 && static_cast<unsigned char>(foreign[1]) < 0xa0);
    if (n == 0 || control) {
      out += format("\\x{:02x}", static_cast<unsigned>(first));
      foreign.remove_prefix(1);
      continue;
    }
    out += foreign.substr(0, n);
    foreign.remove_prefix(n);
  }
  return out;
}

}  // namespace slip
