#pragma once

#include <chrono>
#include <exception>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "core/bytes.h"
#include "http/client.h"
#include "http/peer_cert.h"
#include "http/retry.h"

/// The loop that moves many transfers at once through libcurl. What a transfer asks for, does with the bytes and
/// makes of the end is its own business (memory.cc, file.cc).
namespace slip::http {

/// One request as it goes out.
struct Request {
  std::string url;
  std::map<std::string, std::string> headers;
  bool compressed = false;  ///< offer gzip and the like; bytes arrive decoded
  bool follow = true;       ///< redirects
  std::string method = "GET";
  Body* body = nullptr;  ///< not owned
};

/// Status line and fields of the final answer: redirects and "100 Continue" are not seen.
struct Head {
  int status = 0;
  std::map<std::string, std::string> headers;  ///< names in lower case, repeated fields joined by ", "
  [[nodiscard]] std::string field(const std::string& name) const;
  /// Content-Length, when it is there and a number.
  [[nodiscard]] std::optional<std::uint64_t> length() const;
};

/// How one try ended.
struct Outcome {
  int curl_code = 0;  ///< CURLcode; 0: the answer arrived whole
  Head head;
  std::string url;                         ///< as asked
  std::string effective_url;               ///< after redirects
  std::string detail;                      ///< curl's own words on the failure
  std::uint64_t received = 0;              ///< body bytes of this try
  std::optional<std::uint64_t> announced;  ///< body bytes the server promised
  long redirects = 0;
  long connect_status = 0;  ///< the proxy's answer to CONNECT, 0 without one
  long verify_result = 0;   ///< X509_V_ERR_… of the server's certificate
  PeerCertificates certificates;
  int os_error = 0;  ///< errno of a failed connect
  bool connected = false;
};

/// What a transfer wants next.
struct Step {
  enum class Kind { Ask, Wait, Done };
  Kind kind = Kind::Done;
  Request request;  ///< Ask
  Millis pause{0};  ///< Wait
};

/// One thing to fetch, over as many tries as it takes. Any member may throw slip::Error, which ends the loop.
class Transfer {
 public:
  Transfer() = default;
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;
  virtual ~Transfer() = default;

  /// Called when there is room for another request, and again after each Wait and each end().
  virtual Step next() = 0;
  /// The head of the final answer, before its first byte. False: stop here; end() says why.
  virtual bool begin(const Head& head) = 0;
  virtual bool bytes(ByteView bytes) = 0;
  /// The try is over. Returns the pause before next() is called.
  virtual Millis end(const Outcome& outcome) = 0;
};

/// Owns curl's multi handle with its connections.
class Engine {
 public:
  explicit Engine(const Options& options);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  /// Runs all to their end, options.parallel at a time, started in order.
  /// @param share_connections  wait for a connection that multiplexes rather than open another
  void run(std::span<const std::unique_ptr<Transfer>> transfers, bool share_connections);

 private:
  struct Slot;
  struct Run;
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// PEM bundle that `options` and the environment name; "" for the system's.
std::string ca_file_of(const Options& options);
/// The proxy of options that applies to `url`: "" when the environment names one or none is set.
std::string configured_proxy(const Options& options, std::string_view url);
/// The proxy a request to `url` goes through as far as we can tell, for hints; redacted.
std::string proxy_in_use(const Options& options, std::string_view url);

}  // namespace slip::http
