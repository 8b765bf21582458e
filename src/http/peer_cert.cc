#include "http/peer_cert.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include <array>
#include <ctime>

#include "core/format.h"
#include "core/text.h"

namespace slip::http {
namespace {

using Shared = std::shared_ptr<PeerCertificates>;

/// The context may outlive the transfer, so it holds its own share.
int place_in_context() {
  static const int index = SSL_CTX_get_ex_new_index(
      0, nullptr, nullptr, nullptr,
      [](void*, void* held, CRYPTO_EX_DATA*, int, long, void*) { delete static_cast<Shared*>(held); });
  return index;
}

std::string name_text(const X509_NAME* name) {
  const std::unique_ptr<BIO, decltype(&BIO_free)> out(BIO_new(BIO_s_mem()), BIO_free);
  X509_NAME_print_ex(out.get(), name, 0, XN_FLAG_ONELINE & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long size = BIO_get_mem_data(out.get(), &data);
  return size > 0 ? printable(std::string(data, static_cast<std::size_t>(size)).substr(0, 300)) : std::string();
}

std::string day_text(const ASN1_TIME* time) {
  std::tm day{};
  return ASN1_TIME_to_tm(time, &day) == 1 ? format("{:04}-{:02}-{:02}", day.tm_year + 1900, day.tm_mon + 1, day.tm_mday)
                                          : std::string();
}

std::string one_name(const GENERAL_NAME* name) {
  if (name->type == GEN_DNS) {
    return "DNS:" + std::string(reinterpret_cast<const char*>(ASN1_STRING_get0_data(name->d.dNSName)),
                                static_cast<std::size_t>(ASN1_STRING_length(name->d.dNSName)));
  }
  if (name->type != GEN_IPADD) {
    return {};
  }
  std::array<char, INET6_ADDRSTRLEN> text{};
  const int family = ASN1_STRING_length(name->d.iPAddress) == 4 ? AF_INET : AF_INET6;
  const bool fits = family == AF_INET || ASN1_STRING_length(name->d.iPAddress) == 16;
  return fits && inet_ntop(family, ASN1_STRING_get0_data(name->d.iPAddress), text.data(), text.size()) != nullptr
             ? "IP:" + std::string(text.data())
             : std::string();
}

std::string host_names(const X509* cert) {
  constexpr int kMost = 8;
  auto* names = static_cast<GENERAL_NAMES*>(X509_get_ext_d2i(cert, NID_subject_alt_name, nullptr, nullptr));
  std::string text;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    if (i == kMost) {
      text += ", …";
      break;
    }
    if (const std::string one = one_name(sk_GENERAL_NAME_value(names, i)); !one.empty()) {
      text += (text.empty() ? "" : ", ") + printable(one);
    }
  }
  GENERAL_NAMES_free(names);
  return text;
}

Certificate read(const X509* cert) {
  return {name_text(X509_get_subject_name(cert)), name_text(X509_get_issuer_name(cert)),
          day_text(X509_get0_notAfter(cert)), host_names(cert)};
}

/// Called for each certificate of the chain; agrees with what OpenSSL found.
int on_verify(int fine, X509_STORE_CTX* chain) {
  const auto* ssl = static_cast<SSL*>(X509_STORE_CTX_get_ex_data(chain, SSL_get_ex_data_X509_STORE_CTX_idx()));
  const auto* held =
      ssl == nullptr ? nullptr : static_cast<Shared*>(SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), place_in_context()));
  if (held == nullptr) {
    return fine;
  }
  if (const X509* own = X509_STORE_CTX_get0_cert(chain); own != nullptr && (*held)->own.subject.empty()) {
    (*held)->own = read(own);
  }
  const X509* current = X509_STORE_CTX_get_current_cert(chain);
  if (fine == 0 && current != nullptr && X509_STORE_CTX_get_error_depth(chain) > 0) {
    (*held)->failed = read(current);
  }
  return fine;
}

CURLcode prepare(CURL*, void* context, void* shared) {
  auto* tls = static_cast<SSL_CTX*>(context);
  if (SSL_CTX_set_ex_data(tls, place_in_context(), new Shared(*static_cast<const Shared*>(shared))) == 1) {
    SSL_CTX_set_verify(tls, SSL_CTX_get_verify_mode(tls), &on_verify);
  }
  return CURLE_OK;
}

}  // namespace

void note_certificates(void* easy, const std::shared_ptr<PeerCertificates>& into) {
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, &prepare);
  curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, &into);
}

std::string text_of(const Certificate& certificate) {
  return format("subject {}, issuer {}, valid until {}{}", certificate.subject, certificate.issuer, certificate.until,
                certificate.names.empty() ? "" : ", for " + certificate.names);
}

}  // namespace slip::http
