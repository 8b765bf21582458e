#pragma once

#include <memory>
#include <string>

namespace slip::http {

/// One certificate as people speak of it.
struct Certificate {
  std::string subject;  ///< "CN = registry.example.com"
  std::string issuer;
  std::string until;  ///< "2026-11-28": its last day, UTC
  std::string names;  ///< hosts it is for: "DNS:localhost, IP:127.0.0.1"; empty: none
};

/// What a server showed in the handshake that failed; empty subjects: it did not come to that.
struct PeerCertificates {
  Certificate own;     ///< the server's
  Certificate failed;  ///< the one of its chain that was not accepted, where that is another
};

/// Has the TLS handshake of a transfer note the server's certificates. curl only tells them of handshakes that succeed.
/// @param easy  a CURL handle @param into  must outlive it
void note_certificates(void* easy, const std::shared_ptr<PeerCertificates>& into);

/// "subject …, issuer …, valid until …"
std::string text_of(const Certificate& certificate);

}  // namespace slip::http
