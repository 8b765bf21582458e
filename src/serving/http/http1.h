#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <optional>

#include "serving/http/http.h"
#include "serving/http/net.h"

namespace slip::serving {

/// How long a connection may keep us waiting.
struct HttpTimeouts {
  std::chrono::milliseconds idle{300'000};    ///< between requests
  std::chrono::milliseconds request{60'000};  ///< from the first byte of a request to its last
  std::chrono::milliseconds write{60'000};    ///< for the client to take an answer
};

struct Http1Options {
  HttpLimits limits;
  HttpTimeouts timeouts;
};

/// HTTP/1.1 with keep-alive and pipelining: one request after the other. @source RFC 9112
class Http1Connection final : public Connection {
 public:
  Http1Connection(Server& server, os::Fd fd, std::unique_ptr<TlsSession> tls, const Http1Options& options,
                  const HttpHandler& handler);

  void on_ready() override;
  void drain() override;

 private:
  enum class Next { Read, Wait, Gone };

  void proceed();
  Next parse();
  Next dispatch();
  Next send();
  void linger();
  void answer(HttpResponse response);

  const Http1Options& options_;
  const HttpHandler& handler_;
  HttpParser parser_;
  std::string input_;
  std::string output_;
  std::size_t sent_ = 0;
  bool keep_alive_ = true;
  bool close_after_ = false;
  bool malformed_ = false;  ///< the client may still be sending: let it read our answer before the socket goes
  bool lingering_ = false;
  std::atomic<bool> idle_{true};  ///< no part of a request has arrived
  /// Handler and responder each add one; who comes second carries the connection on.
  std::atomic<int> arrived_{0};
  std::optional<HttpResponse> response_;
};

/// The accept function of a port. @param options, handler, tls  must outlive the server; tls null: without TLS
Accept http1_port(const Http1Options& options, const HttpHandler& handler, TlsContext* tls);

}  // namespace slip::serving
