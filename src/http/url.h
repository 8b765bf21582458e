#pragma once

#include <string>
#include <string_view>

namespace slip::http {

/// The pieces of an absolute URL that errors and proxies need. No validation beyond that: curl does it.
struct UrlParts {
  std::string scheme;  ///< lower case, "" when there is none
  std::string host;    ///< without user, password and port
  std::string port;    ///< as written, "" when none
};
UrlParts split_url(std::string_view url);
/// What a Location of `base` means: absolute, or relative to the host or folder.
/// @source RFC 3986 section 5.2 for what servers send; no "." and ".."
std::string resolve_url(std::string_view base, std::string_view location);
/// Scheme, host and port: what credentials are bound to. "https://host:443".
std::string origin_of(std::string_view url);
/// For a query: everything but letters, digits and "-._~" as %XX.
std::string url_encoded(std::string_view text);

}  // namespace slip::http
