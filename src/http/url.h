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

}  // namespace slip::http
