#include "launch/proxy_request.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace slip::launch {
namespace {

bool all_digits(std::string_view text) {
  return !text.empty() && text.size() <= 5 && text.find_first_not_of("0123456789") == std::string_view::npos;
}

bool plain_host(std::string_view text) {
  return !text.empty() && text.size() <= 255 &&
         std::all_of(text.begin(), text.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '-' ||
                  c == '_' || c == ':';
         });
}

/// "host:port", "[::1]:port", or with `fallback` without a port.
bool split_authority(std::string_view text, std::string_view fallback, std::string& host, std::string& port) {
  std::string_view rest;
  if (text.starts_with('[')) {
    const std::size_t end = text.find(']');
    if (end == std::string_view::npos) {
      return false;
    }
    host = text.substr(1, end - 1);
    rest = text.substr(end + 1);
  } else {
    const std::size_t colon = text.find(':');
    host = text.substr(0, colon);
    rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon);
  }
  port = rest.empty() ? fallback : rest.substr(1);
  return plain_host(host) && (rest.empty() || rest.front() == ':') && all_digits(port);
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return out;
}

std::string base64(std::string_view text) {
  static constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  for (std::size_t i = 0; i < text.size(); i += 3) {
    std::uint32_t bits = 0;
    for (std::size_t k = 0; k < 3; ++k) {
      bits = bits << 8 | (i + k < text.size() ? static_cast<unsigned char>(text[i + k]) : 0U);
    }
    for (std::size_t k = 0; k < 4; ++k) {
      out += i + k <= text.size() ? kDigits[bits >> (18 - 6 * k) & 63] : '=';
    }
  }
  return out;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto digit = [](char c) {
      return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
    };
    if (text[i] == '%' && i + 2 < text.size() && digit(text[i + 1]) >= 0 && digit(text[i + 2]) >= 0) {
      out += static_cast<char>(digit(text[i + 1]) * 16 + digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::optional<ProxyRequest> parse_proxy_request(std::string_view text) {
  const std::size_t end = text.find("\r\n\r\n");
  const std::string_view line = text.substr(0, text.find("\r\n"));
  const auto words = split(line, ' ');
  if (end == std::string_view::npos || words.size() != 3 || !words[2].starts_with("HTTP/1.")) {
    return std::nullopt;
  }
  ProxyRequest request;
  request.text = text;
  request.head = end + 4;
  request.connect = words[0] == "CONNECT";
  if (request.connect) {
    return split_authority(words[1], "", request.host, request.port) ? std::optional(std::move(request)) : std::nullopt;
  }
  constexpr std::string_view kScheme = "http://";
  if (lower(words[1].substr(0, kScheme.size())) != kScheme) {
    return std::nullopt;
  }
  const std::string_view rest = words[1].substr(kScheme.size());
  const std::size_t slash = rest.find_first_of("/?");
  request.target = slash == std::string_view::npos ? "/" : std::string(rest.substr(slash));
  if (request.target.front() == '?') {
    request.target.insert(0, "/");
  }
  return split_authority(rest.substr(0, slash), "80", request.host, request.port) ? std::optional(std::move(request))
                                                                                  : std::nullopt;
}

std::string ProxyRequest::for_server() const {
  const std::string behind = text.substr(head);
  if (connect) {
    return behind;
  }
  const std::string_view all(text);
  const std::size_t first = all.find("\r\n");
  std::string out = format("{} {} HTTP/1.1\r\n", all.substr(0, all.find(' ')), target);
  for (const std::string_view row : split(all.substr(first + 2, head - first - 4), '\n')) {
    const std::string_view header = row.ends_with('\r') ? row.substr(0, row.size() - 1) : row;
    const std::string name = lower(header.substr(0, header.find(':')));
    if (!header.empty() && name != "connection" && !name.starts_with("proxy-")) {
      out.append(header).append("\r\n");
    }
  }
  return out + "Connection: close\r\n\r\n" + behind;
}

std::string ProxyRequest::for_proxy(std::string_view authorization) const {
  if (authorization.empty()) {
    return text;
  }
  const std::size_t first = text.find("\r\n") + 2;
  return text.substr(0, first) + format("Proxy-Authorization: {}\r\n", authorization) + text.substr(first);
}

ProxyAddress parse_proxy_address(std::string_view url) {
  std::string_view rest = url;
  if (lower(rest.substr(0, 7)) == "http://") {
    rest.remove_prefix(7);
  }
  while (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  ProxyAddress address;
  if (const std::size_t at = rest.rfind('@'); at != std::string_view::npos) {
    address.authorization = "Basic " + base64(percent_decoded(rest.substr(0, at)));
    rest.remove_prefix(at + 1);
  }
  if (!split_authority(rest, "80", address.host, address.port)) {
    throw Error(ErrorKind::Invalid, "the proxy of this host is not an `http://HOST:PORT` address");
  }
  return address;
}

bool uses_proxy(const Outbound& outbound, std::string_view host) {
  if (outbound.proxy.empty()) {
    return false;
  }
  const std::string name = lower(host);
  return std::none_of(outbound.no_proxy.begin(), outbound.no_proxy.end(), [&](const std::string& entry) {
    const std::string suffix = lower(std::string_view(entry).substr(entry.starts_with('.') ? 1 : 0));
    return entry == "*" || name == suffix || (!suffix.empty() && name.ends_with("." + suffix));
  });
}

}  // namespace slip::launch
