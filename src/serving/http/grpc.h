#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "serving/base/deadline.h"
#include "serving/base/status.h"
#include "serving/http/net.h"

namespace slip::serving {

/// One call's way back to its client. All functions may be called by any thread; after the client has gone they do
/// nothing.
class GrpcStream {
 public:
  GrpcStream() = default;
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;
  virtual ~GrpcStream() = default;
  /// Sends one message and keeps the stream open.
  virtual void send(std::string message) = 0;
  /// Ends the call. @param failure  Code::Ok for success
  virtual void finish(Failure failure) = 0;
  /// The client still waits.
  [[nodiscard]] virtual bool alive() const = 0;
  /// Sends the only message and ends the call, in one write.
  virtual void reply(std::string message) = 0;
};
using GrpcStreamRef = std::shared_ptr<GrpcStream>;

struct GrpcRequest {
  std::string path;     ///< "/tensorflow.serving.PredictionService/Predict"
  std::string message;  ///< one message, uncompressed
  Deadline deadline = kNoDeadline;
  std::string authorization = {};  ///< the header of that name
};

/// Answers calls: one call per message.
using GrpcHandler = std::function<void(GrpcRequest&&, GrpcStreamRef)>;

struct GrpcOptions {
  std::size_t message_bytes = 256u << 20;  ///< largest request
  unsigned concurrent_streams = 1000;      ///< per connection
  /// Whether clients may send several messages to this path, each answered by send() before the next is handed on. The
  /// call ends when the client has ended its side.
  std::function<bool(std::string_view path)> bidirectional = {};
};

/// gRPC over HTTP/2 with prior knowledge. @source grpc/doc/PROTOCOL-HTTP2.md; RFC 9113 (framing by nghttp2)
/// @param options, handler, tls  must outlive the server; tls null: without TLS
Accept grpc_port(const GrpcOptions& options, const GrpcHandler& handler, TlsContext* tls);

/// "1500m", "20S": the grpc-timeout header; nullopt when malformed.
std::optional<std::chrono::nanoseconds> read_grpc_timeout(std::string_view text);

}  // namespace slip::serving
