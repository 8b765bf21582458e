#include "oci/reference.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace slip::oci {
namespace {

constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxTag = 128;

constexpr bool is_lower(char c) { return c >= 'a' && c <= 'z'; }
constexpr bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
constexpr bool is_digit(char c) { return c >= '0' && c <= '9'; }
constexpr bool is_alnum(char c) { return is_lower(c) || is_upper(c) || is_digit(c); }
constexpr bool is_small(char c) { return is_lower(c) || is_digit(c); }

[[noreturn]] void reject(std::string_view text, std::string why) {
  throw Error(ErrorKind::Invalid, "`{}` is no image reference: {}", printable(text.substr(0, 300)), why)
      .add_hint("write it as [registry/]repository[:tag], for example team/tf29-dev:latest");
}

/// [a-z0-9]+ joined by one ".", one or two "_", or any number of "-".
bool is_path_component(std::string_view part) {
  std::size_t i = 0;
  while (true) {
    const std::size_t word = i;
    while (i < part.size() && is_small(part[i])) {
      ++i;
    }
    if (i == word) {
      return false;
    }
    if (i == part.size()) {
      return true;
    }
    const char separator = part[i];
    const std::size_t start = i;
    while (i < part.size() && part[i] == separator) {
      ++i;
    }
    const std::size_t length = i - start;
    if (!(separator == '-' || (separator == '.' && length == 1) || (separator == '_' && length <= 2))) {
      return false;
    }
  }
}

bool is_port(std::string_view text) { return !text.empty() && text.size() <= 5 && std::ranges::all_of(text, is_digit); }

bool is_host_name(std::string_view host) {
  return std::ranges::all_of(split(host, '.'), [](std::string_view label) {
    return !label.empty() && label.size() <= 63 && label.front() != '-' && label.back() != '-' &&
           std::ranges::all_of(label, [](char c) { return is_alnum(c) || c == '-'; });
  });
}

bool is_registry(std::string_view text) {
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos || end < 3 ||
        !std::ranges::all_of(
            text.substr(1, end - 1),
            [](char c) { return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F') || c == ':'; })) {
      return false;
    }
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = std::min(text.find(':'), text.size());
    if (!is_host_name(text.substr(0, colon))) {
      return false;
    }
    rest = text.substr(colon);
  }
  return rest.empty() || (rest.front() == ':' && is_port(rest.substr(1)));
}

bool looks_like_registry(std::string_view first) {
  return first == "localhost" || first.find_first_of(".:[") != std::string_view::npos ||
         std::ranges::any_of(first, is_upper);
}

}  // namespace

bool is_tag(std::string_view text) noexcept {
  return !text.empty() && text.size() <= kMaxTag && (is_alnum(text.front()) || text.front() == '_') &&
         std::ranges::all_of(text, [](char c) { return is_alnum(c) || c == '_' || c == '.' || c == '-'; });
}

Reference Reference::parse(std::string_view text) {
  Reference ref;
  std::string_view rest = text;
  if (const std::size_t at = rest.find('@'); at != std::string_view::npos) {
    const std::string_view digest = rest.substr(at + 1);
    ref.digest = digest.starts_with("sha256:") ? Digest::parse(digest) : std::nullopt;
    if (!ref.digest) {
      if (digest.starts_with("sha512:")) {
        throw Error(ErrorKind::Unsupported, "`{}` names its image by SHA-512", printable(text))
            .add_hint("use the image's sha256 digest");
      }
      reject(text, "what follows `@` is no digest `sha256:` and 64 hexadecimal digits");
    }
    rest = rest.substr(0, at);
  }
  const std::size_t slash = rest.rfind('/');
  const std::size_t colon = rest.rfind(':');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    if (!is_tag(rest.substr(colon + 1))) {
      reject(text, "a tag is 1 to 128 letters, digits, `_`, `.` or `-`, and begins with none of the last two");
    }
    ref.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  if (rest.empty()) {
    reject(text, "the repository is missing");
  }
  if (rest.size() > kMaxName) {
    reject(text, format("the name has more than {} bytes", kMaxName));
  }
  if (const std::size_t first = rest.find('/');
      first != std::string_view::npos && looks_like_registry(rest.substr(0, first))) {
    if (!is_registry(rest.substr(0, first))) {
      reject(text, format("`{}` is no host name with an optional port", printable(rest.substr(0, first))));
    }
    ref.registry = rest.substr(0, first);
    rest = rest.substr(first + 1);
  }
  for (const std::string_view part : split(rest, '/')) {
    if (!is_path_component(part)) {
      reject(text, part.empty() ? "an empty component"
                                : format("`{}` may hold only a-z, 0-9 and single `.`, `_`, `__` or `-` between them",
                                         printable(part)));
    }
  }
  ref.repository = rest;
  if (ref.tag.empty() && !ref.digest) {
    ref.tag = "latest";
  }
  return ref;
}

std::string Reference::text() const {
  std::string all = name();
  if (!tag.empty()) {
    all += ":" + tag;
  }
  if (digest) {
    all += "@" + digest->text();
  }
  return all;
}

}  // namespace slip::oci
