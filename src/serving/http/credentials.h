#pragma once

#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "serving/base/log.h"
#include "serving/base/options.h"
#include "serving/base/status.h"
#include "serving/http/tls.h"

namespace slip::serving {

/// Keys, certificates and tokens of a running server. Their files are read again when they change, so that what
/// renews them needs no restart; a file that cannot be used then leaves what was there in force.
class Credentials {
 public:
  /// Reads --tls_*_file (both ports), --ssl_config_file (gRPC) and --auth_token_file.
  /// @throws Error  Usage: half of a pair is missing; Invalid, NotFound, Denied: a file
  explicit Credentials(const Options& options);

  /// Null: the port speaks without TLS.
  [[nodiscard]] TlsContext* rest() noexcept { return rest_.context ? &*rest_.context : nullptr; }
  [[nodiscard]] TlsContext* grpc() noexcept { return grpc_.context ? &*grpc_.context : nullptr; }
  /// Whether a request may go on. @param authorization  its header of that name
  [[nodiscard]] bool allows(std::string_view authorization) const;
  [[nodiscard]] bool asks_for_tokens() const noexcept { return !options_.auth_token_file.empty(); }
  /// Call it about once per second.
  void look_again(Log& log);

 private:
  struct Port {
    TlsSettings settings;
    std::optional<TlsContext> context;
  };
  [[nodiscard]] std::optional<TlsSettings> wanted(bool grpc) const;
  static bool renew(Port& port, const std::optional<TlsSettings>& settings);
  void read_tokens();

  const Options& options_;
  Port rest_;
  Port grpc_;
  std::string complaint_;  ///< logged last, so that it is logged once
  mutable std::shared_mutex mutex_;
  std::vector<std::string> tokens_;
};

/// SSLConfig in text format, its PEM texts inline.
/// @source TensorFlow Serving 2.9, config/ssl_config.proto
Result<TlsSettings> read_ssl_config(std::string_view text);

}  // namespace slip::serving
