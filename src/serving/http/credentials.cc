#include "serving/http/credentials.h"

#include <openssl/crypto.h>

#include <mutex>
#include <utility>

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"
#include "serving/proto/text_format.h"

namespace slip::serving {
namespace {

constexpr std::uint64_t kLargest = 1 << 20;  ///< bytes of a file

bool equal(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && ::CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Result<TlsSettings> read_ssl_config(std::string_view text) {
  constexpr const char* kType = "tensorflow.serving.SSLConfig";
  const auto refuse = [](const Failure& failure) {
    return invalid(std::string("Error parsing text-format ") + kType + ": " + failure.message);
  };
  const auto root = read_text_format(text);
  if (!root) {
    return refuse(root.error());
  }
  TlsSettings settings;
  const TextReader reader(*root, kType);
  for (const TextField& field : reader.fields()) {
    if (field.name == "client_verify") {
      const auto on = reader.boolean(field);
      if (!on) {
        return refuse(on.error());
      }
      settings.verify_client = *on;
      continue;
    }
    std::string* into = field.name == "server_key"    ? &settings.key
                        : field.name == "server_cert" ? &settings.certificate
                        : field.name == "custom_ca"   ? &settings.client_ca
                                                      : nullptr;
    if (into == nullptr) {
      return refuse(reader.unknown(field).value());
    }
    auto pem = reader.text(field);
    if (!pem) {
      return refuse(pem.error());
    }
    *into = std::move(*pem);
  }
  return settings;
}

Credentials::Credentials(const Options& options) : options_(options) {
  if (const auto settings = wanted(false)) {
    rest_.settings = *settings;
    rest_.context.emplace(*settings, "http/1.1");
  }
  if (const auto settings = wanted(true)) {
    grpc_.settings = *settings;
    grpc_.context.emplace(*settings, "h2");
  }
  if (asks_for_tokens()) {
    read_tokens();
  }
}

std::optional<TlsSettings> Credentials::wanted(bool grpc) const {
  if (grpc && !options_.ssl_config_file.empty()) {
    auto settings = read_ssl_config(os::read_file(options_.ssl_config_file, kLargest));
    if (!settings) {
      throw Error(ErrorKind::Invalid, "read `{}`: {}", options_.ssl_config_file, settings.error().message);
    }
    return std::move(*settings);
  }
  if (options_.tls_certificate_file.empty() && options_.tls_key_file.empty()) {
    if (!options_.tls_client_ca_file.empty()) {
      throw Error(ErrorKind::Usage, "--tls_client_ca_file needs --tls_certificate_file and --tls_key_file");
    }
    return std::nullopt;
  }
  if (options_.tls_certificate_file.empty() || options_.tls_key_file.empty()) {
    throw Error(ErrorKind::Usage, "--tls_certificate_file and --tls_key_file need each other");
  }
  TlsSettings settings;
  settings.certificate = os::read_file(options_.tls_certificate_file, kLargest);
  settings.key = os::read_file(options_.tls_key_file, kLargest);
  settings.verify_client = !options_.tls_client_ca_file.empty();
  if (settings.verify_client) {
    settings.client_ca = os::read_file(options_.tls_client_ca_file, kLargest);
  }
  return settings;
}

void Credentials::read_tokens() {
  std::vector<std::string> tokens;
  const std::string text = os::read_file(options_.auth_token_file, kLargest);
  for (const auto line : split(text, '\n')) {
    if (const auto token = trim(line); !token.empty()) {
      tokens.emplace_back(token);
    }
  }
  if (tokens.empty()) {
    throw Error(ErrorKind::Invalid, "read `{}`: it holds no token", options_.auth_token_file)
        .add_hint("write one token per line into it");
  }
  const std::unique_lock lock(mutex_);
  tokens_ = std::move(tokens);
}

bool Credentials::allows(std::string_view authorization) const {
  if (!asks_for_tokens()) {
    return true;
  }
  constexpr std::string_view kScheme = "bearer ";
  if (authorization.size() <= kScheme.size() || to_lower(authorization.substr(0, kScheme.size())) != kScheme) {
    return false;
  }
  const std::string_view given = trim(authorization.substr(kScheme.size()));
  const std::shared_lock lock(mutex_);
  bool found = false;
  for (const std::string& token : tokens_) {
    found |= equal(token, given);  // all of them, so that the time tells nothing
  }
  return found;
}

bool Credentials::renew(Port& port, const std::optional<TlsSettings>& settings) {
  if (!port.context || !settings || *settings == port.settings) {
    return false;
  }
  port.context->replace(*settings);
  port.settings = *settings;
  return true;
}

void Credentials::look_again(Log& log) {
  try {
    const bool rest_renewed = renew(rest_, wanted(false));
    const bool grpc_renewed = renew(grpc_, wanted(true));
    if (rest_renewed || grpc_renewed) {
      log.info("certificates read");
    }
    if (asks_for_tokens()) {
      read_tokens();
    }
    complaint_.clear();
  } catch (const Error& error) {
    if (std::exchange(complaint_, error.joined()) != complaint_) {
      log.warning("credentials not read", {{"reason", complaint_}});
    }
  }
}

}  // namespace slip::serving
