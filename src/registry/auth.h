#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "http/client.h"
#include "registry/challenge.h"
#include "registry/credentials.h"

namespace slip::registry {

/// Answers one registry's challenges: user and password, or tokens, which it fetches, keeps while they are good and
/// fetches anew a little before they end. May be used from several threads.
/// @source RFC 7617; distribution's token authentication specification, with its OAuth2 variant
class Authorizer {
 public:
  /// One request without authorisation of ours; retries are the callee's.
  using Send = std::function<http::Response(const http::Exchange&)>;
  using Find = std::function<std::optional<Credential>()>;

  /// @param host  for messages
  /// @param allow_http  tokens may be fetched over http:// (the registry itself is on this machine or was configured
  /// so)
  /// @param find  called once, when the registry first asks
  Authorizer(std::string host, bool allow_http, Find find, Send send);

  /// Value of the Authorization field for a request in this scope; empty: none is needed so far.
  /// @param scope  "repository:team/app:pull,push"; several separated by a blank; empty: no particular one
  /// @throws Error Denied, Unavailable when a token cannot be had
  std::string header(const std::string& scope);

  /// True once the registry wanted to know who we are.
  [[nodiscard]] bool asked();

  /// The registry answered 401. True when header() will now give something better than `used`.
  /// @param field  its WWW-Authenticate
  /// @throws Error Denied with `slipway login` as hint: there are no credentials, or they are refused
  bool unauthorized(const std::string& scope, const std::string& field, const std::string& used);

 private:
  struct Token {
    std::string value;
    std::chrono::steady_clock::time_point until;
  };
  std::optional<Credential>& credential();
  std::string basic();
  const Token& fetch(const std::string& scope);
  http::Exchange token_request(const std::string& scope, std::string& body);
  [[nodiscard]] Error denied(std::string why, bool has_credential) const;

  std::string host_;
  bool allow_http_;
  Find find_;
  Send send_;
  std::mutex mutex_;
  std::optional<std::optional<Credential>> credential_;  ///< once looked for
  std::optional<Challenge> challenge_;                   ///< what the registry wants; nullopt: nothing so far
  std::map<std::string, Token> tokens_;                  ///< by scope
};

}  // namespace slip::registry
