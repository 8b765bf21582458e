#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/digest.h"
#include "core/error.h"
#include "core/events.h"

namespace slip::http {

/// How a Client behaves. Proxies come from the environment as curl reads it (https_proxy, no_proxy, …).
/// ~/.netrc is never read; a redirect from https to http is refused.
struct Options {
  std::string ca_file;     ///< PEM bundle; empty: SSL_CERT_FILE, CURL_CA_BUNDLE, REQUESTS_CA_BUNDLE, then the system's
  std::string cert_file;   ///< PEM certificate shown to servers that ask for one; empty: none
  std::string key_file;    ///< its private key
  std::string trust_hint;  ///< what to do about an unknown CA; empty: the advice for package sources
  std::string name_hint;   ///< what to do about a name that does not resolve; empty: likewise
  std::string bytes_hint;  ///< what to do about wrong bytes; empty: likewise, and so are hints about statuses
  unsigned connect_timeout_s = 20;  ///< for one connection attempt
  unsigned stall_timeout_s = 30;    ///< no byte for this long counts as a broken connection
  unsigned attempts =
      4;  ///< tries a request gets on 408, 429, 5xx and broken connections; back-off with jitter, Retry-After honoured
  unsigned parallel = 16;  ///< transfers at once
  std::string user_agent = "slipway";
  std::string http_proxy;   ///< for http:// URLs where the environment names none (config::Config::http_proxy)
  std::string https_proxy;  ///< the same for https://
  std::string no_proxy;     ///< hosts reached directly; empty: the environment's no_proxy
  std::chrono::milliseconds first_pause{500};  ///< before the second try; doubles with each further one
  std::chrono::milliseconds longest_pause{20'000};
  std::uint64_t seed = 0;  ///< of the jitter; 0: from the system
  /// For tests: gets each pause that was chosen and returns the one to take.
  std::function<std::chrono::milliseconds(std::chrono::milliseconds)> on_pause;
};

struct Response {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case
  std::string body;
  std::string url;  ///< after redirects
};

/// The body of a request that is sent.
class Body {
 public:
  Body() = default;
  Body(const Body&) = delete;
  Body& operator=(const Body&) = delete;
  virtual ~Body() = default;
  [[nodiscard]] virtual std::uint64_t size() const = 0;  ///< bytes, known before the first is read
  /// Fills as much of `into` as is at hand, at least one byte; 0 means the end. May wait; may throw.
  virtual std::size_t read(std::span<std::uint8_t> into) = 0;
};

/// A body in memory that must outlive it.
class TextBody final : public Body {
 public:
  explicit TextBody(std::string_view text) : text_(text) {}
  [[nodiscard]] std::uint64_t size() const override { return text_.size(); }
  std::size_t read(std::span<std::uint8_t> into) override;

 private:
  std::string_view text_;
  std::size_t at_ = 0;
};

/// One request of any method.
struct Exchange {
  std::string method = "GET";  ///< POST, PUT and PATCH without a body say `Content-Length: 0`
  std::string url;
  std::map<std::string, std::string> headers;
  Body* body = nullptr;             ///< not owned; read once
  std::uint64_t limit = 16u << 20;  ///< bytes of an answer's body
};

/// What became of one try of a request.
struct Attempt {
  Response response;           ///< status 0 when there was no answer
  std::optional<Error> error;  ///< why there was none
  bool again = false;          ///< a later try may do better (broken connection, 408, 429, 5xx)
  bool not_tls = false;        ///< the server answers, but does not speak TLS
  std::optional<std::chrono::milliseconds> retry_after;
};

/// One file to download.
struct Download {
  std::vector<std::string> urls;      ///< mirrors, tried in order; never empty
  std::filesystem::path target;       ///< written as target + ".part", renamed when complete and verified
  std::optional<std::uint64_t> size;  ///< a longer or shorter body is an error
  std::optional<Digest> sha256;       ///< a differing body is removed and an error (Corrupt)
  std::string label;                  ///< for progress: "tensorflow 2.9.0"
  /// Fields of the request, asked for before each; empty: none. They are sent to the URL's own host only.
  std::function<std::map<std::string, std::string>()> headers;
  /// Called after 401: true when headers() now gives better ones.
  std::function<bool(const Response&)> on_unauthorized;
};

/// HTTP(S) client on libcurl's multi interface. One object per thread. URLs in errors have credentials redacted.
class Client {
 public:
  Client(Options options, Events& events);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// GET into memory; answers of every status are returned, transport failures throw (Unavailable).
  /// @throws Error Invalid when the body is larger than `limit`
  Response get(const std::string& url, const std::map<std::string, std::string>& headers = {},
               std::uint64_t limit = 64u << 20);
  /// GETs up to options.parallel at once; result i belongs to url i. Same rules as get().
  std::vector<Response> get_all(std::span<const std::string> urls,
                                const std::map<std::string, std::string>& headers = {},
                                std::uint64_t limit = 64u << 20);
  /// Sends one request, once: no retry, and redirects are answers like others. What a caller cannot do anything about
  /// (an untrusted certificate, a malformed URL) is in `error` with `again` unset.
  /// @throws Error Invalid when the answer's body is larger than its limit; what the request's body throws
  Attempt attempt(const Exchange& exchange);
  /// Downloads all, options.parallel at a time, resuming `.part` files of an earlier run by range; the bytes are
  /// hashed while they arrive. Ends at the first file that cannot be had (its error names file and URL); `.part`
  /// files stay for the next run. A digest that differs is tried once more on the next mirror, then Corrupt.
  /// Two processes may ask for one target: the second waits and takes what the first has verified.
  /// @throws Error NotFound, Denied, Unavailable, Corrupt, NoSpace, Invalid
  void download(std::span<const Download> files, TaskId parent = kNoTask);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// What an answer that is no success means, for callers of get(): 401, 403 and 407 are Denied, 404 and 410 NotFound,
/// everything else Unavailable; with a hint where there is something to do.
Error status_error(const Response& response);

/// A URL that may stand in a message: user, password, query and fragment are left out.
std::string redact(std::string_view url);

}  // namespace slip::http
