#include "serving/http/tls.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include "core/error.h"

namespace slip::serving {
namespace {

template <auto Free>
struct Freed {
  template <class T>
  void operator()(T* object) const noexcept {
    Free(object);
  }
};
using Bio = std::unique_ptr<BIO, Freed<BIO_free>>;
using Key = std::unique_ptr<EVP_PKEY, Freed<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Freed<X509_free>>;

/// What OpenSSL last complained about.
std::string reason() {
  char text[256] = "unknown";
  if (const unsigned long code = ::ERR_get_error(); code != 0) {
    ::ERR_error_string_n(code, text, sizeof text);
  }
  ::ERR_clear_error();
  return text;
}

Error unusable(const char* what) { return Error(ErrorKind::Invalid, "use the {}: {}", what, reason()); }

Bio open_text(const std::string& pem) { return Bio(::BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size()))); }

void use_key(SSL_CTX* context, const std::string& pem) {
  const Bio text = open_text(pem);
  // An empty password: a key that needs one is an error, never a question on the terminal.
  const Key key(::PEM_read_bio_PrivateKey(text.get(), nullptr, nullptr, const_cast<char*>("")));
  if (!key || ::SSL_CTX_use_PrivateKey(context, key.get()) != 1) {
    throw unusable("server key");
  }
}

void use_certificates(SSL_CTX* context, const std::string& pem) {
  const Bio text = open_text(pem);
  const Certificate own(::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr));
  if (!own || ::SSL_CTX_use_certificate(context, own.get()) != 1) {
    throw unusable("server certificate");
  }
  while (Certificate next{::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)}) {
    if (::SSL_CTX_add1_chain_cert(context, next.get()) != 1) {
      throw unusable("server certificate");
    }
  }
  ::ERR_clear_error();  // the end of the text counts as an error
}

void use_client_roots(SSL_CTX* context, const std::string& pem) {
  const Bio text = open_text(pem);
  bool any = false;
  while (Certificate root{::PEM_read_bio_X509(text.get(), nullptr, nullptr, nullptr)}) {
    any = true;
    if (::X509_STORE_add_cert(::SSL_CTX_get_cert_store(context), root.get()) != 1 ||
        ::SSL_CTX_add_client_CA(context, root.get()) != 1) {
      throw unusable("certificates of clients");
    }
  }
  if (!any) {
    throw unusable("certificates of clients");
  }
  ::ERR_clear_error();
}

/// Picks the port's protocol; a client that offers others only is refused, one that offers none is served.
int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size, const unsigned char* in, unsigned in_size,
                    void* alpn) {
  const auto& wanted = *static_cast<const std::string*>(alpn);
  unsigned char* chosen = nullptr;
  const int found = ::SSL_select_next_proto(&chosen, out_size, reinterpret_cast<const unsigned char*>(wanted.data()),
                                            static_cast<unsigned>(wanted.size()), in, in_size);
  *out = chosen;
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

class Session final : public TlsSession {
 public:
  explicit Session(SSL* ssl) noexcept : ssl_(ssl) {}
  ~Session() override { ::SSL_free(ssl_); }

  Io read(char* into, std::size_t room, std::size_t& got) noexcept override {
    ::ERR_clear_error();
    return outcome(::SSL_read_ex(ssl_, into, room, &got));
  }
  Io write(const char* from, std::size_t size, std::size_t& sent) noexcept override {
    ::ERR_clear_error();
    return outcome(::SSL_write_ex(ssl_, from, size, &sent));
  }
  void end_writing() noexcept override {
    if (!broken_ && ::SSL_is_init_finished(ssl_) == 1) {
      ::SSL_shutdown(ssl_);
      ::ERR_clear_error();
    }
  }

 private:
  Io outcome(int done) noexcept {
    if (done == 1) {
      return Io::Done;
    }
    switch (::SSL_get_error(ssl_, done)) {
      case SSL_ERROR_WANT_READ: return Io::WantRead;
      case SSL_ERROR_WANT_WRITE: return Io::WantWrite;
      case SSL_ERROR_ZERO_RETURN: return Io::Closed;
      default: broken_ = true; return Io::Closed;  // OpenSSL forbids SSL_shutdown from here on
    }
  }

  SSL* ssl_;
  bool broken_ = false;
};

}  // namespace

struct TlsContext::Ready {
  Ready() : context(::SSL_CTX_new(::TLS_server_method())) {}
  Ready(const Ready&) = delete;
  Ready& operator=(const Ready&) = delete;
  ~Ready() { ::SSL_CTX_free(context); }
  SSL_CTX* context;
};

TlsContext::TlsContext(const TlsSettings& settings, std::string protocol)
    : alpn_(std::string(1, static_cast<char>(protocol.size())) + protocol) {
  // No configuration file of the machine: it could load modules that bring symbols of their own.
  ::OPENSSL_init_ssl(OPENSSL_INIT_NO_LOAD_CONFIG | OPENSSL_INIT_NO_ATEXIT, nullptr);
  ready_ = make(settings);
}

TlsContext::~TlsContext() = default;

std::shared_ptr<TlsContext::Ready> TlsContext::make(const TlsSettings& settings) {
  auto ready = std::make_shared<Ready>();
  if (ready->context == nullptr) {
    throw unusable("TLS library");
  }
  SSL_CTX* context = ready->context;
  ::SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION);
  ::SSL_CTX_set_security_level(context, 2);
  ::SSL_CTX_set_options(context, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_IGNORE_UNEXPECTED_EOF);
  ::SSL_CTX_set_mode(context,
                     SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  ::SSL_CTX_set_alpn_select_cb(context, choose_protocol, const_cast<std::string*>(&alpn_));
  use_certificates(context, settings.certificate);
  use_key(context, settings.key);
  if (::SSL_CTX_check_private_key(context) != 1) {
    throw unusable("server key with its certificate");
  }
  if (settings.verify_client) {
    use_client_roots(context, settings.client_ca);
    ::SSL_CTX_set_verify(context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
    // A resumed session skips the check of the certificate, which may be revoked by another root meanwhile.
    ::SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
    ::SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
    ::SSL_CTX_set_num_tickets(context, 0);
  }
  return ready;
}

void TlsContext::replace(const TlsSettings& settings) {
  auto fresh = make(settings);
  const std::lock_guard lock(mutex_);
  ready_ = std::move(fresh);
}

std::unique_ptr<TlsSession> TlsContext::accept(int fd) {
  std::shared_ptr<Ready> ready;
  {
    const std::lock_guard lock(mutex_);
    ready = ready_;
  }
  SSL* ssl = ::SSL_new(ready->context);  // holds a reference to the context
  if (ssl == nullptr || ::SSL_set_fd(ssl, fd) != 1) {
    ::SSL_free(ssl);
    ::ERR_clear_error();
    return nullptr;
  }
  ::SSL_set_accept_state(ssl);
  return std::make_unique<Session>(ssl);
}

}  // namespace slip::serving
