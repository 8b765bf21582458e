#include "registry/remote.h"

#include <nlohmann/json.hpp>
#include <thread>

#include "codec/json.h"
#include "core/error.h"
#include "core/text.h"
#include "http/retry.h"
#include "http/url.h"

namespace slip::registry {
namespace {

constexpr int kMostRedirects = 10;

bool is_redirect(int status) {
  return status == 301 || status == 302 || status == 303 || status == 307 || status == 308;
}

std::string field(const http::Response& response, const char* name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

/// Where an answer's Location leads. A registry behind a proxy that ends TLS may write http:// for itself.
std::string next_place(const std::string& from, const std::string& location) {
  std::string to = http::resolve_url(from, location);
  if (from.starts_with("https://") && to.starts_with("http://") &&
      http::split_url(from).host == http::split_url(to).host) {
    to.insert(4, "s");
  }
  return to;
}

struct Said {
  std::string code;
  std::string message;
};

/// The first error of a registry's answer. @source OCI distribution-spec 1.1 "Error Codes"
Said said_by(const std::string& body) {
  const codec::Json json = codec::Json::parse(body, nullptr, false);
  if (!json.is_object() || !json.contains("errors") || !json.at("errors").is_array() || json.at("errors").empty() ||
      !json.at("errors")[0].is_object()) {
    return {};
  }
  const codec::Json& first = json.at("errors")[0];
  const auto text = [&](const char* key) {
    return first.contains(key) && first.at(key).is_string() ? printable(first.at(key).get<std::string>().substr(0, 500))
                                                            : std::string();
  };
  return {text("code"), text("message")};
}

bool is_quota(const Said& said) {
  return said.message.find("quota") != std::string::npos || said.message.find("upper limit") != std::string::npos;
}

/// What to do about a refusal of which the registry's own words say more than the status: empty where they do not.
/// @source Harbor src/server/middleware (quota, immutable, vulnerable, contenttrust, repoproxy), src/lib/errors
std::string hint_for(int status, const Said& said) {
  const auto mentions = [&](std::string_view words) { return said.message.find(words) != std::string::npos; };
  if (status == 412 && said.code == "PROJECTPOLICYVIOLATION") {
    return mentions("without vulnerability scanning")
               ? "the project holds the image back until it has been scanned: try again later, or start a scan there"
           : mentions("not signed")
               ? "the project takes only signed images: sign it where it is made, with `slipway push --sign`"
               : "build it anew with fixed packages (`slipway audit` names them), or ask whoever administers the "
                 "project for "
                 "an exception";
  }
  if (status == 412 && mentions("immutable")) {
    return "an immutable tag keeps the image that it has: push under another tag";
  }
  if (status == 403 && is_quota(said)) {
    return "the quota is full: delete there what nobody needs any more, or ask whoever administers the project for "
           "more";
  }
  if (status == 404 && mentions("project")) {
    return "a project of this registry is made before anybody pushes to it: check the spelling, or have it made";
  }
  if (status == 405 && mentions("proxy")) {
    return "the project is a cache of another registry: push to a project of its own";
  }
  return {};
}

}  // namespace

/// A client of the pool: one thread's at a time.
class Remote::Lease {
 public:
  explicit Lease(Remote& remote) : remote_(remote) {
    const std::lock_guard lock(remote_.mutex_);
    if (!remote_.idle_.empty()) {
      client_ = std::move(remote_.idle_.back());
      remote_.idle_.pop_back();
    } else {
      client_ = std::make_unique<http::Client>(remote_.options_, remote_.events_);
    }
  }
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;
  ~Lease() {
    const std::lock_guard lock(remote_.mutex_);
    remote_.idle_.push_back(std::move(client_));
  }
  http::Client& client() { return *client_; }

 private:
  Remote& remote_;
  std::unique_ptr<http::Client> client_;
};

Remote::Remote(Access access, const http::Options& base, Authorizer::Find find, Events& events)
    : access_(std::move(access)),
      options_(options_for(access_, base)),
      events_(events),
      authorizer_(access_.host, access_.loopback || access_.plain_http, std::move(find),
                  [this](const http::Exchange& e) { return send_token_request(e); }) {}
Remote::~Remote() = default;

http::Attempt Remote::send(const http::Exchange& exchange) { return Lease(*this).client().attempt(exchange); }

void Remote::pause(unsigned failed, std::optional<std::chrono::milliseconds> retry_after) {
  http::Millis time =
      http::Backoff(options_.first_pause, options_.longest_pause, options_.seed).pause(failed, retry_after);
  if (options_.on_pause) {
    time = options_.on_pause(time);
  }
  if (time > http::Millis{0}) {
    std::this_thread::sleep_for(time);
  }
}

/// A body is sent from memory, so that each try has it whole.
http::Response Remote::send_token_request(const http::Exchange& exchange) {
  std::string form;
  if (exchange.body != nullptr) {
    form.resize(exchange.body->size());
    form.resize(exchange.body->read({reinterpret_cast<std::uint8_t*>(form.data()), form.size()}));
  }
  for (unsigned failed = 1;; ++failed) {
    http::TextBody body(form);
    http::Exchange again = exchange;
    again.body = exchange.body != nullptr ? &body : nullptr;
    http::Attempt attempt = send(again);
    if (!attempt.again || failed >= options_.attempts) {
      if (attempt.error) {
        throw attempt.error->add_context(format("fetch a token for `{}`", access_.host));
      }
      return std::move(attempt.response);
    }
    pause(failed, attempt.retry_after);
  }
}

void Remote::probe() {
  const std::lock_guard one(probing_);
  {
    const std::lock_guard lock(mutex_);
    if (!base_.empty()) {
      return;
    }
  }
  std::vector<std::string> ways = {"https://"};
  if (access_.plain_http) {
    ways = {"http://"};
  } else if (access_.loopback && access_.ca_file.empty()) {
    ways.emplace_back("http://");
  }
  http::Attempt attempt;
  for (const std::string& way : ways) {
    for (unsigned failed = 1;; ++failed) {
      http::Exchange ping;
      ping.url = way + access_.host + "/v2/";
      attempt = send(ping);
      if (!attempt.again || attempt.not_tls || failed >= options_.attempts) {
        break;
      }
      pause(failed, attempt.retry_after);
    }
    if (!attempt.error) {
      const std::lock_guard lock(mutex_);
      base_ = way + access_.host;
      break;
    }
    if (!attempt.not_tls) {
      break;
    }
  }
  if (attempt.error) {
    Error error = *attempt.error;
    if (attempt.not_tls) {
      error.add_hint(
          format("if it speaks plain HTTP, and that is what you want, write to config.toml:\n"
                 "[registries.\"{}\"]\nplain_http = true",
                 access_.host));
    }
    throw error.add_context(format("reach the registry `{}`", access_.host));
  }
}

std::string Remote::base() {
  {
    const std::lock_guard lock(mutex_);
    if (!base_.empty()) {
      return base_;
    }
  }
  probe();
  const std::lock_guard lock(mutex_);
  return base_;
}

void Remote::check(const std::string& scope) {
  Ask ping;
  ping.target = "/v2/";
  ping.scope = scope;
  const http::Response answer = ask(ping);
  if (answer.status != 200) {
    if (answer.status == 404) {
      throw Error(ErrorKind::Unsupported, "`{}` answers, but is no registry: it has no /v2/", access_.host)
          .add_hint("check the spelling of its name");
    }
    throw refusal(answer, format("reach the registry `{}`", access_.host));
  }
}

void Remote::log_in() {
  check("");
  if (!authorizer_.asked()) {
    events_.warn("{} asks nobody for a password: what you gave was not checked", access_.host);
  }
}

void Remote::show_warning(const http::Response& response) {
  const std::string text = field(response, "warning");
  if (!text.starts_with("299 ")) {
    return;
  }
  const std::size_t quote = text.find('"');
  const std::string words = printable(quote == std::string::npos ? text.substr(4, 500) : text.substr(quote, 500));
  {
    const std::lock_guard lock(mutex_);
    if (warnings_.size() > 20 || !warnings_.insert(words).second) {
      return;
    }
  }
  events_.warn("{} says: {}", access_.host, words);
}

/// Follows redirects from the answer of `exchange` on; credentials stay with the registry.
http::Attempt Remote::follow(const Ask& request, http::Exchange exchange, std::unique_ptr<http::Body>& body) {
  const std::string home = http::origin_of(exchange.url);
  const std::string authorization = exchange.headers["Authorization"];
  if (authorization.empty()) {
    exchange.headers.erase("Authorization");
  }
  for (int hops = 0;; ++hops) {
    exchange.body = body.get();
    http::Attempt attempt = send(exchange);
    const std::string location = field(attempt.response, "location");
    const int status = attempt.response.status;
    const bool reading = request.method == "GET" || request.method == "HEAD";
    if (attempt.error || !is_redirect(status) || location.empty() || (!reading && status != 307 && status != 308)) {
      return attempt;
    }
    const std::string to = next_place(exchange.url, location);
    if (hops >= kMostRedirects || (exchange.url.starts_with("https://") && !to.starts_with("https://")) ||
        (!to.starts_with("http://") && !to.starts_with("https://"))) {
      attempt.error = Error(ErrorKind::Unavailable, "{}",
                            hops >= kMostRedirects ? "more than 10 redirects" : "a redirect leaves https: not followed")
                          .add_context(format("{} `{}`", request.method, http::redact(exchange.url)));
      attempt.again = false;
      return attempt;
    }
    exchange.url = to;
    exchange.headers.erase("Authorization");
    if (http::origin_of(to) == home && !authorization.empty()) {
      exchange.headers["Authorization"] = authorization;
    }
    body = request.body ? request.body() : nullptr;
  }
}

http::Attempt Remote::ask_once(const Ask& request) {
  http::Exchange exchange;
  exchange.method = request.method;
  const std::string base = this->base();
  exchange.url = request.target.starts_with('/') ? base + request.target : request.target;
  exchange.headers = request.headers;
  exchange.limit = request.limit;
  const bool ours = http::origin_of(exchange.url) == http::origin_of(base);
  const std::string used = ours ? authorizer_.header(request.scope) : std::string();
  if (!used.empty()) {
    exchange.headers["Authorization"] = used;
  }
  std::unique_ptr<http::Body> body = request.body ? request.body() : nullptr;
  http::Attempt attempt = follow(request, std::move(exchange), body);
  show_warning(attempt.response);
  if (!attempt.error && attempt.response.status == 401 && ours) {
    attempt.again = authorizer_.unauthorized(request.scope, field(attempt.response, "www-authenticate"), used);
  }
  return attempt;
}

http::Response Remote::ask(const Ask& request) {
  unsigned refused = 0;
  for (unsigned failed = 0;;) {
    http::Attempt attempt = ask_once(request);
    if (!attempt.again) {
      if (attempt.error) {
        throw *attempt.error;
      }
      return std::move(attempt.response);
    }
    if (attempt.response.status == 401) {
      if (++refused > 2) {
        return std::move(attempt.response);
      }
      continue;  // with what the registry asked for
    }
    if (++failed >= options_.attempts) {
      if (attempt.error) {
        throw *attempt.error;
      }
      return std::move(attempt.response);
    }
    pause(failed, attempt.retry_after);
  }
}

void Remote::download(http::Download file, const std::string& repository, TaskId parent) {
  const std::string scope = pull_scope(repository);
  std::string used;
  file.headers = [&] {
    used = authorizer_.header(scope);
    return used.empty() ? std::map<std::string, std::string>()
                        : std::map<std::string, std::string>{{"Authorization", used}};
  };
  file.on_unauthorized = [&](const http::Response& answer) {
    return authorizer_.unauthorized(scope, field(answer, "www-authenticate"), used);
  };
  for (std::string& url : file.urls) {
    url = url.starts_with('/') ? base() + url : url;
  }
  Lease(*this).client().download(std::span(&file, 1), parent);
}

Error Remote::refusal(const http::Response& answer, std::string doing) const {
  const Said said = said_by(answer.body);
  const ErrorKind kind = answer.status == 403 && is_quota(said)         ? ErrorKind::NoSpace
                         : answer.status == 401 || answer.status == 403 ? ErrorKind::Denied
                         : answer.status == 404                         ? ErrorKind::NotFound
                         : answer.status == 409 || answer.status == 412 ? ErrorKind::Conflict
                         : answer.status == 413 || answer.status == 507 ? ErrorKind::NoSpace
                         : answer.status >= 500 || answer.status == 429 ? ErrorKind::Unavailable
                                                                        : ErrorKind::Invalid;
  Error error(kind, "{}", std::move(doing));
  error.add_cause(format("`{}` answered {}{}{}{}", access_.host, answer.status,
                         said.code.empty() ? "" : " " + said.code, said.message.empty() ? "" : ": ", said.message));
  if (const std::string hint = hint_for(answer.status, said); !hint.empty()) {
    return error.add_hint(hint);
  }
  switch (answer.status) {
    case 401:
    case 403:
      error.add_hint(format("log in with an account that has the right: `slipway login {}`", access_.host));
      break;
    case 413: error.add_hint("a proxy before the registry limits the size of uploads: ask whoever runs it"); break;
    case 429: error.add_hint("the registry limits how much one may ask: try again later"); break;
    default:
      if (answer.status >= 500) {
        error.add_hint("the fault is the registry's: try again later");
      }
  }
  return error;
}

std::string pull_scope(const std::string& repository) { return format("repository:{}:pull", repository); }
std::string push_scope(const std::string& repository) { return format("repository:{}:pull,push", repository); }

}  // namespace slip::registry
