#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "core/events.h"
#include "http/client.h"
#include "registry/access.h"
#include "registry/auth.h"

namespace slip::registry {

/// A request to a registry.
struct Ask {
  std::string method = "GET";
  std::string target;  ///< "/v2/team/app/tags/list", or a whole URL that the registry gave us
  std::map<std::string, std::string> headers;
  std::string scope;                                  ///< see Authorizer::header
  std::function<std::unique_ptr<http::Body>()> body;  ///< a fresh one for each try; empty: none
  std::uint64_t limit = 16u << 20;                    ///< bytes of the answer's body
};

/// One registry as this process talks to it: finds out how (TLS or not, which authentication), sends requests with
/// retries, follows redirects without taking credentials to another host. May be used from several threads.
class Remote {
 public:
  /// @param base   the host's settings; see options_for()
  /// @param find   credentials, asked for when the registry first wants some
  Remote(Access access, const http::Options& base, Authorizer::Find find, Events& events);
  ~Remote();
  Remote(const Remote&) = delete;
  Remote& operator=(const Remote&) = delete;

  [[nodiscard]] const std::string& host() const noexcept { return access_.host; }
  /// Reaches the registry and has what it needs to act in `scope`: to be called before any work.
  /// @throws Error Denied, Unavailable, Unsupported: something answers that is no registry
  void check(const std::string& scope);

  /// Finds out that the registry is there and speaks TLS with a certificate we trust, whatever it thinks of us.
  void reach() { probe(); }
  /// As check() without a scope, and makes sure that the credentials were asked for and taken.
  void log_in();

  /// The answer, whatever its status, after retries on broken connections, 429 and 5xx, a renewed token and redirects.
  /// @throws Error Unavailable when there was none; Denied when no credentials help
  http::Response ask(const Ask& request);
  /// One try, for what cannot just be sent again (a part of an upload); redirects are followed, a 401 renews the token.
  http::Attempt ask_once(const Ask& request);
  /// Waits before another try. @param failed  tries so far, from 1 on
  void pause(unsigned failed, std::optional<std::chrono::milliseconds> retry_after = {});
  /// Most tries in a row that bring nothing.
  [[nodiscard]] unsigned attempts() const noexcept { return options_.attempts; }

  /// Downloads one blob, resuming; see http::Client::download.
  void download(http::Download file, const std::string& repository, TaskId parent);

  /// What a refusal means: status, the registry's own words, a hint. @param doing  "push `team/app:1`"
  Error refusal(const http::Response& answer, std::string doing) const;
  [[nodiscard]] Events& events() const noexcept { return events_; }

 private:
  class Lease;
  std::string base();
  void probe();
  http::Attempt send(const http::Exchange& exchange);
  http::Response send_token_request(const http::Exchange& exchange);
  http::Attempt follow(const Ask& request, http::Exchange exchange, std::unique_ptr<http::Body>& body);
  void show_warning(const http::Response& response);

  Access access_;
  http::Options options_;
  Events& events_;
  Authorizer authorizer_;
  std::mutex mutex_;  ///< guards what follows
  std::string base_;  ///< "https://host", once known
  std::vector<std::unique_ptr<http::Client>> idle_;
  std::set<std::string> warnings_;
  std::mutex probing_;
};

/// Scope strings.
std::string pull_scope(const std::string& repository);
std::string push_scope(const std::string& repository);

}  // namespace slip::registry
