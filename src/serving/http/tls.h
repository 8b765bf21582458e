#pragma once

#include <memory>
#include <mutex>
#include <string>

namespace slip::serving {

/// What a port needs to speak TLS, as PEM text.
struct TlsSettings {
  std::string key;
  std::string certificate;     ///< the server's own first, then what leads to a root
  std::string client_ca;       ///< roots that clients' certificates must lead to
  bool verify_client = false;  ///< refuse clients without such a certificate
  bool operator==(const TlsSettings&) const = default;
};

/// The TLS side of one connection over a socket that does not block. One thread at a time.
class TlsSession {
 public:
  enum class Io { Done, WantRead, WantWrite, Closed };

  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;
  virtual ~TlsSession() = default;
  /// Reads up to `room` bytes, shaking hands first. @param got  set on Done, at least 1
  virtual Io read(char* into, std::size_t room, std::size_t& got) noexcept = 0;
  /// Writes some of `from`. @param sent  set on Done
  virtual Io write(const char* from, std::size_t size, std::size_t& sent) noexcept = 0;
  /// Tells the client that no more will come.
  virtual void end_writing() noexcept = 0;

 protected:
  TlsSession() = default;
};

/// Key and certificates of a port; connections that are open keep those they began with. TLS 1.2 and 1.3.
///
/// OpenSSL is linked statically and none of its symbols is exported: TensorFlow's libraries bring a BoringSSL whose
/// functions have the same names.
class TlsContext {
 public:
  /// @param protocol  the ALPN protocol of the port: "h2" or "http/1.1"
  /// @throws Error Invalid: the PEM text is malformed, or key and certificate do not belong together
  TlsContext(const TlsSettings& settings, std::string protocol);
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;
  ~TlsContext();

  /// New connections use these from now on. @throws Error Invalid, and nothing changes
  void replace(const TlsSettings& settings);
  /// The server's side of a connection; nullptr when memory is short. @param fd  stays the caller's
  std::unique_ptr<TlsSession> accept(int fd);

 private:
  struct Ready;
  std::shared_ptr<Ready> make(const TlsSettings& settings);

  const std::string alpn_;  ///< with its length in front
  std::mutex mutex_;
  std::shared_ptr<Ready> ready_;
};

}  // namespace slip::serving
