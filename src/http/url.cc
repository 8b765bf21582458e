#include "http/url.h"

#include "core/text.h"
#include "http/client.h"

namespace slip::http {
namespace {

/// [begin, end) of the authority, which starts behind "://" (or at 0 without a scheme).
std::pair<std::size_t, std::size_t> authority_of(std::string_view url) {
  const std::size_t mark = url.find("://");
  const std::size_t begin = mark == std::string_view::npos ? 0 : mark + 3;
  return {begin, std::min(url.find_first_of("/?#", begin), url.size())};
}

}  // namespace

UrlParts split_url(std::string_view url) {
  UrlParts parts;
  const auto [begin, end] = authority_of(url);
  if (begin >= 3) {
    parts.scheme = to_lower(url.substr(0, begin - 3));
  }
  std::string_view authority = url.substr(begin, end - begin);
  if (const std::size_t at = authority.rfind('@'); at != std::string_view::npos) {
    authority.remove_prefix(at + 1);
  }
  const std::size_t bracket = authority.rfind(']');
  const std::size_t colon = authority.find(':', bracket == std::string_view::npos ? 0 : bracket);
  parts.host = to_lower(authority.substr(0, colon));
  if (colon != std::string_view::npos) {
    parts.port = authority.substr(colon + 1);
  }
  return parts;
}

std::string resolve_url(std::string_view base, std::string_view location) {
  const std::string_view before_query = location.substr(0, location.find_first_of("?#"));
  if (before_query.find("://") != std::string_view::npos) {
    return std::string(location);
  }
  const auto [begin, end] = authority_of(base);
  if (location.starts_with("//")) {
    return std::string(base.substr(0, begin >= 2 ? begin - 2 : 0)) + std::string(location);
  }
  if (location.starts_with('/')) {
    return std::string(base.substr(0, end)) + std::string(location);
  }
  const std::string_view path = base.substr(0, std::min(base.find_first_of("?#", end), base.size()));
  if (location.starts_with('?')) {
    return std::string(path) + std::string(location);
  }
  const std::size_t slash = path.rfind('/');
  return slash == std::string_view::npos || slash < end
             ? std::string(base.substr(0, end)) + "/" + std::string(location)
             : std::string(path.substr(0, slash + 1)) + std::string(location);
}

std::string origin_of(std::string_view url) {
  const UrlParts parts = split_url(url);
  return format("{}://{}:{}", parts.scheme, parts.host,
                !parts.port.empty()       ? parts.port
                : parts.scheme == "https" ? "443"
                                          : "80");
}

std::string url_encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                       c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

std::string redact(std::string_view url) {
  const auto [begin, end] = authority_of(url);
  std::string safe(url.substr(0, begin));
  std::string_view rest = url.substr(begin);
  // A password may hold an unescaped "/", "?" or "#": everything up to the last "@" before the query goes.
  const std::size_t stop = std::min(rest.find_first_of("?#"), rest.size());
  const std::size_t inside = rest.substr(0, end - begin).rfind('@');
  if (inside != std::string_view::npos) {
    safe += "***@";
    rest.remove_prefix(inside + 1);
  } else if (const std::size_t late = rest.substr(0, stop).find(':'); late != std::string_view::npos) {
    const std::size_t at = rest.substr(0, stop).rfind('@');
    if (at != std::string_view::npos && late < end - begin && at > late &&
        rest.substr(late + 1, end - begin - late - 1).find_first_not_of("0123456789") != std::string_view::npos) {
      safe += "***@";
      rest.remove_prefix(at + 1);
    }
  }
  const std::size_t query = rest.find_first_of("?#");
  safe += rest.substr(0, query);
  if (query != std::string_view::npos && rest[query] == '?') {
    safe += "?***";
  }
  return printable(safe);
}

}  // namespace slip::http
