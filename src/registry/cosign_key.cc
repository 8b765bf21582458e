#include "registry/cosign_key.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <sodium.h>

#include <array>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "codec/json.h"
#include "core/error.h"

namespace slip::registry {
namespace {

using codec::Json;

constexpr std::array<std::string_view, 2> kLabels = {"ENCRYPTED SIGSTORE PRIVATE KEY", "ENCRYPTED COSIGN PRIVATE KEY"};
constexpr std::uint64_t kMostMemory = 512u << 20;  ///< of scrypt: 128 N r bytes; cosign's own need 64 MiB

[[noreturn]] void malformed(const std::string& name, const char* what) {
  throw Error(ErrorKind::Invalid, "`{}` is no key of cosign: {}", name, what)
      .add_hint("make one with `cosign generate-key-pair`");
}

/// What stands between the PEM lines, decoded.
std::string body_of(std::string_view text, const std::string& name) {
  for (const std::string_view label : kLabels) {
    const std::string begin = format("-----BEGIN {}-----", label);
    const std::size_t from = text.find(begin);
    const std::size_t to = text.find(format("-----END {}-----", label));
    if (from == std::string_view::npos || to == std::string_view::npos || to < from + begin.size()) {
      continue;
    }
    std::string letters;
    for (const char c : text.substr(from + begin.size(), to - from - begin.size())) {
      if (c != '\n' && c != '\r') {
        letters += c;
      }
    }
    if (auto body = codec::unbase64(letters)) {
      return std::move(*body);
    }
  }
  malformed(name, "it holds no base64");
}

std::uint64_t number(const Json& params, const char* key) {
  return params.contains(key) && params.at(key).is_number_unsigned() ? params.at(key).get<std::uint64_t>() : 0;
}

std::string bytes(const Json& object, const char* key) {
  if (!object.is_object() || !object.contains(key) || !object.at(key).is_string()) {
    return {};
  }
  return codec::unbase64(object.at(key).get<std::string>()).value_or("");
}

std::string text(const Json& object, const char* key) {
  return object.is_object() && object.contains(key) && object.at(key).is_string() ? object.at(key).get<std::string>()
                                                                                  : std::string();
}

const unsigned char* raw(const std::string& text) { return reinterpret_cast<const unsigned char*>(text.data()); }

}  // namespace

bool is_cosign_key(std::string_view text) {
  for (const std::string_view label : kLabels) {
    if (text.find(format("-----BEGIN {}-----", label)) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

std::string open_cosign_key(std::string_view file, const std::string& name,
                            const std::function<std::string()>& password) {
  const Json json = codec::parse_json(body_of(file, name), name);
  const Json none;
  const Json& kdf = json.is_object() && json.contains("kdf") ? json.at("kdf") : none;
  const Json& cipher = json.is_object() && json.contains("cipher") ? json.at("cipher") : none;
  if (text(kdf, "name") != "scrypt" || !kdf.contains("params") || !kdf.at("params").is_object() ||
      text(cipher, "name") != "nacl/secretbox") {
    malformed(name, "it is not encrypted with scrypt and a secretbox");
  }
  const Json& params = kdf.at("params");
  const std::uint64_t n = number(params, "N");
  const std::uint64_t r = number(params, "r");
  const std::uint64_t p = number(params, "p");
  const std::string salt = bytes(kdf, "salt");
  const std::string nonce = bytes(cipher, "nonce");
  const std::string box = bytes(json, "ciphertext");
  if (n < 2 || n > (1u << 22) || r == 0 || r > 64 || p == 0 || p > 16 || 128 * n * r > kMostMemory ||
      nonce.size() != crypto_secretbox_NONCEBYTES || box.size() <= crypto_secretbox_MACBYTES) {
    malformed(name, "its parameters are out of range");
  }
  std::string secret = password();
  std::array<unsigned char, crypto_secretbox_KEYBYTES> key{};
  const bool derived = EVP_PBE_scrypt(secret.data(), secret.size(), raw(salt), salt.size(), n, r, p, 2 * kMostMemory,
                                      key.data(), key.size()) == 1;
  OPENSSL_cleanse(secret.data(), secret.size());
  if (!derived) {
    malformed(name, "scrypt does not take its parameters");
  }
  std::string plain(box.size() - crypto_secretbox_MACBYTES, '\0');
  const bool open = crypto_secretbox_open_easy(reinterpret_cast<unsigned char*>(plain.data()), raw(box), box.size(),
                                               raw(nonce), key.data()) == 0;
  OPENSSL_cleanse(key.data(), key.size());
  if (!open) {
    throw Error(ErrorKind::Denied, "the password does not open the key `{}`", name);
  }
  return plain;
}

}  // namespace slip::registry
