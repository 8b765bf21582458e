#include "registry/auth.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "core/error.h"
#include "core/text.h"
#include "http/url.h"

namespace slip::registry {
namespace {

using Clock = std::chrono::steady_clock;
using codec::Json;

std::string param(const Challenge& challenge, const char* name) {
  const auto found = challenge.params.find(name);
  return found == challenge.params.end() ? std::string() : found->second;
}

bool on_this_machine(const std::string& url) {
  const std::string host = http::split_url(url).host;
  return host == "localhost" || host.starts_with("127.") || host == "[::1]";
}

}  // namespace

Authorizer::Authorizer(std::string host, bool allow_http, Find find, Send send)
    : host_(std::move(host)), allow_http_(allow_http), find_(std::move(find)), send_(std::move(send)) {}

Error Authorizer::denied(std::string why, bool has_credential) const {
  Error error(ErrorKind::Denied, "authenticate at `{}`", host_);
  error.add_cause(std::move(why));
  error.add_hint(has_credential ? format("log in with another account, or ask for the right: `slipway login {}`", host_)
                                : format("run `slipway login {}`", host_));
  return error;
}

std::optional<Credential>& Authorizer::credential() {
  if (!credential_) {
    credential_ = find_();
  }
  return *credential_;
}

std::string Authorizer::basic() {
  const auto& known = credential();
  return known && !known->identity_token ? "Basic " + codec::base64(known->username + ":" + known->secret)
                                         : std::string();
}

std::string Authorizer::header(const std::string& scope) {
  const std::lock_guard lock(mutex_);
  if (!challenge_) {
    return {};
  }
  if (challenge_->scheme == "basic") {
    return basic();
  }
  const auto found = tokens_.find(scope);
  const Token& token = found != tokens_.end() && Clock::now() < found->second.until ? found->second : fetch(scope);
  return "Bearer " + token.value;
}

bool Authorizer::asked() {
  const std::lock_guard lock(mutex_);
  return challenge_.has_value();
}

bool Authorizer::unauthorized(const std::string& scope, const std::string& field, const std::string& used) {
  const std::lock_guard lock(mutex_);
  if (const auto found = tokens_.find(scope); found != tokens_.end() && !used.empty()) {
    if ("Bearer " + found->second.value != used) {
      return true;  // another thread has a new one already
    }
    tokens_.erase(found);
  }
  const std::vector<Challenge> offered = parse_challenges(field);
  const auto find = [&](const char* scheme) {
    return std::find_if(offered.begin(), offered.end(), [&](const Challenge& c) { return c.scheme == scheme; });
  };
  if (const auto bearer = find("bearer"); bearer != offered.end() && !param(*bearer, "realm").empty()) {
    challenge_ = *bearer;
    fetch(scope);
    return true;
  }
  if (find("basic") != offered.end()) {
    challenge_ = *find("basic");
    const std::string mine = basic();
    if (mine.empty()) {
      throw denied("it wants a user and a password, and none are known", false);
    }
    if (mine == used) {
      throw denied(format("user and password of `{}` are refused", printable(credential()->username)), true);
    }
    return true;
  }
  throw denied(offered.empty()
                   ? "it refuses, and does not say what it wants"
                   : format("it wants `{}`, which slipway does not speak", printable(offered.front().scheme)),
               false);
}

http::Exchange Authorizer::token_request(const std::string& scope, std::string& body) {
  const std::string realm = param(*challenge_, "realm");
  const std::string service = param(*challenge_, "service");
  if (!realm.starts_with("https://") && !(allow_http_ && on_this_machine(realm)) && !(allow_http_ && !credential())) {
    throw denied(format("tokens would come from `{}`, over a connection that anybody can read", http::redact(realm)),
                 true);
  }
  // What the registry asks for matters only where we ask for nothing in particular.
  const std::string wanted = scope.empty() ? param(*challenge_, "scope") : scope;
  http::Exchange exchange;
  exchange.limit = 1u << 20;
  const auto& known = credential();
  if (known && known->identity_token) {
    exchange.method = "POST";
    exchange.url = realm;
    exchange.headers["Content-Type"] = "application/x-www-form-urlencoded";
    body = format("grant_type=refresh_token&client_id=slipway&service={}&scope={}&refresh_token={}",
                  http::url_encoded(service), http::url_encoded(wanted), http::url_encoded(known->secret));
    return exchange;
  }
  exchange.url = realm + (realm.find('?') == std::string::npos ? "?" : "&") + "service=" + http::url_encoded(service);
  for (const std::string_view one : split_words(wanted)) {
    exchange.url += "&scope=" + http::url_encoded(one);
  }
  if (known) {
    exchange.url += "&account=" + http::url_encoded(known->username);
    exchange.headers["Authorization"] = basic();
  }
  return exchange;
}

const Authorizer::Token& Authorizer::fetch(const std::string& scope) {
  std::string body;
  http::Exchange exchange = token_request(scope, body);
  http::TextBody form(body);
  if (!body.empty()) {
    exchange.body = &form;
  }
  const http::Response answer = send_(exchange);
  const auto& known = credential();
  if (answer.status == 401 || answer.status == 403 || answer.status == 400) {
    throw denied(known ? format("`{}` refuses {}", http::redact(exchange.url),
                                known->identity_token ? "the identity token"
                                                      : "user and password of `" + printable(known->username) + "`")
                       : format("`{}` gives nothing to people it does not know", http::redact(exchange.url)),
                 known.has_value());
  }
  if (answer.status != 200) {
    throw http::status_error(answer);
  }
  const Json json = codec::parse_json(answer.body, "answer of " + http::redact(exchange.url));
  std::string value;
  for (const char* key : {"access_token", "token"}) {
    if (json.contains(key) && json.at(key).is_string()) {
      value = json.at(key).get<std::string>();
    }
  }
  if (value.empty() || value.find_first_of("\r\n") != std::string::npos) {
    throw denied(format("`{}` answers without a token", http::redact(exchange.url)), known.has_value());
  }
  constexpr std::int64_t kDefaultLife = 60;
  constexpr std::int64_t kLongestLife = 86'400;
  std::int64_t life = kDefaultLife;
  if (const auto at = json.find("expires_in"); at != json.end() && at->is_number_integer()) {
    life = std::clamp<std::int64_t>(at->get<std::int64_t>(), 1, kLongestLife);
  }
  const auto margin = std::chrono::milliseconds(std::min<std::int64_t>(life * 1000 / 4, 10'000));
  Token& token = tokens_[scope];
  token = {std::move(value), Clock::now() + std::chrono::seconds(life) - margin};
  return token;
}

}  // namespace slip::registry
