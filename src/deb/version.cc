#include "deb/version.h"

#include <algorithm>

#include "core/format.h"

namespace slip::deb {
namespace {

constexpr bool is_digit(char c) noexcept { return c >= '0' && c <= '9'; }
constexpr bool is_letter(char c) noexcept { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }

/// Weight of a character outside a number: "~" before the end (0, also that of a digit), letters, then the rest.
constexpr int weight(char c) noexcept {
  if (c == '~') {
    return -1;
  }
  if (is_digit(c)) {
    return 0;
  }
  const int byte = static_cast<unsigned char>(c);
  return is_letter(c) ? byte : byte + 256;
}

std::string_view take_number(std::string_view& text) noexcept {
  std::size_t end = 0;
  while (end < text.size() && is_digit(text[end])) {
    ++end;
  }
  std::string_view number = text.substr(0, end);
  text.remove_prefix(end);
  number.remove_prefix(std::min(number.find_first_not_of('0'), number.size()));
  return number;
}

/// Upstream parts and revisions follow one rule: alternating runs of other characters and of digits.
std::weak_ordering compare_parts(std::string_view a, std::string_view b) noexcept {
  while (!a.empty() || !b.empty()) {
    while ((!a.empty() && !is_digit(a.front())) || (!b.empty() && !is_digit(b.front()))) {
      const int left = a.empty() ? 0 : weight(a.front());
      const int right = b.empty() ? 0 : weight(b.front());
      if (left != right) {
        return left <=> right;
      }
      a.remove_prefix(a.empty() ? 0 : 1);
      b.remove_prefix(b.empty() ? 0 : 1);
    }
    const std::string_view left = take_number(a);
    const std::string_view right = take_number(b);
    if (left.size() != right.size()) {
      return left.size() <=> right.size();
    }
    if (const int order = left.compare(right); order != 0) {
      return order <=> 0;
    }
  }
  return std::weak_ordering::equivalent;
}

struct Parts {
  std::string_view epoch, upstream, revision;
  bool has_epoch = false, has_revision = false;
};

Parts parts_of(std::string_view text) noexcept {
  Parts parts;
  if (const std::size_t colon = text.find(':'); colon != std::string_view::npos) {
    parts.epoch = text.substr(0, colon);
    parts.has_epoch = true;
    text.remove_prefix(colon + 1);
  }
  const std::size_t dash = text.rfind('-');
  parts.upstream = text.substr(0, dash);
  if (dash != std::string_view::npos) {
    parts.revision = text.substr(dash + 1);
    parts.has_revision = true;
  }
  return parts;
}

}  // namespace

std::optional<Version> Version::parse(std::string_view text) {
  const Parts parts = parts_of(text);
  if (parts.upstream.empty() || (parts.has_epoch && parts.epoch.empty()) ||
      (parts.has_revision && parts.revision.empty())) {
    return std::nullopt;
  }
  Version version;
  std::uint64_t epoch = 0;
  for (const char c : parts.epoch) {
    if (!is_digit(c)) {
      return std::nullopt;
    }
    epoch = epoch * 10 + static_cast<std::uint64_t>(c - '0');
    if (epoch > 0x7fffffff) {
      return std::nullopt;
    }
  }
  const auto allowed = [](std::string_view part, std::string_view marks) {
    return std::all_of(part.begin(), part.end(),
                       [&](char c) { return is_digit(c) || is_letter(c) || marks.find(c) != std::string_view::npos; });
  };
  if (!is_digit(parts.upstream.front()) || !allowed(parts.upstream, parts.has_epoch ? ".+-~:" : ".+-~") ||
      !allowed(parts.revision, ".+~")) {
    return std::nullopt;
  }
  version.epoch = static_cast<std::uint32_t>(epoch);
  version.upstream = parts.upstream;
  version.revision = parts.revision;
  return version;
}

std::string Version::text() const {
  std::string text = epoch != 0 || upstream.find(':') != std::string::npos ? format("{}:", epoch) : std::string();
  text += upstream;
  return revision.empty() ? text : text + "-" + revision;
}

std::weak_ordering compare_versions(std::string_view a, std::string_view b) noexcept {
  const Parts left = parts_of(a);
  const Parts right = parts_of(b);
  if (const auto order = compare_parts(left.epoch, right.epoch); order != 0) {
    return order;
  }
  if (const auto order = compare_parts(left.upstream, right.upstream); order != 0) {
    return order;
  }
  return compare_parts(left.revision, right.revision);
}

bool satisfies(std::string_view version, Relation relation, std::string_view bound) noexcept {
  const std::weak_ordering order = compare_versions(version, bound);
  switch (relation) {
    case Relation::Any: return true;
    case Relation::Earlier: return order < 0;
    case Relation::EarlierEqual: return order <= 0;
    case Relation::Equal: return order == 0;
    case Relation::LaterEqual: return order >= 0;
    case Relation::Later: return order > 0;
  }
  return false;
}

std::string_view text_of(Relation relation) noexcept {
  switch (relation) {
    case Relation::Any: return "";
    case Relation::Earlier: return "<<";
    case Relation::EarlierEqual: return "<=";
    case Relation::Equal: return "=";
    case Relation::LaterEqual: return ">=";
    case Relation::Later: return ">>";
  }
  return "";
}

}  // namespace slip::deb
