#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "launch/forward.h"

/// What programs say to an HTTP proxy. Pure; the bytes come from inside a workspace and are not trusted.
/// @source RFC 9112 §3.2 (request targets), RFC 9110 §9.3.6 (CONNECT)
namespace slip::launch {

inline constexpr std::size_t kMostProxyHead = 32 << 10;

struct ProxyRequest {
  bool connect = false;
  std::string host;  ///< without brackets
  std::string port;  ///< digits
  std::string text;  ///< everything that was read: head and what came behind it
  std::string target;  ///< of an http:// request: "/path?query"
  std::size_t head = 0;  ///< bytes of the head, its empty line included

  /// What goes to the server itself: for CONNECT only what came behind the head; else the request with the target in
  /// origin form, without what is meant for proxies, on a connection for this one request.
  [[nodiscard]] std::string for_server() const;
  /// What goes to another proxy: the request as it was, with credentials ("Basic …") when there are some.
  [[nodiscard]] std::string for_proxy(std::string_view authorization) const;
};

/// nullopt: no complete request that a proxy serves.
std::optional<ProxyRequest> parse_proxy_request(std::string_view text);

struct ProxyAddress {
  std::string host;
  std::string port;
  std::string authorization;  ///< "Basic …"; empty: none
};
/// @throws Error Invalid for anything but http://[USER:PASSWORD@]HOST[:PORT][/]
ProxyAddress parse_proxy_address(std::string_view url);

/// True when `host` is reached through the host's proxy.
bool uses_proxy(const Outbound& outbound, std::string_view host);

}  // namespace slip::launch
