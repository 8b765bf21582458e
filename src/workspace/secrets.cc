#include "workspace/secrets.h"

#include <argon2.h>
#include <openssl/evp.h>
#include <sys/random.h>

#include <array>
#include <cstdint>
#include <memory>
#include <vector>

#include "core/error.h"

namespace slip::workspace {
namespace {

template <std::size_t N>
std::array<unsigned char, N> random_bytes() {
  std::array<unsigned char, N> bytes{};
  if (::getrandom(bytes.data(), N, 0) != static_cast<ssize_t>(N)) {
    throw Error(ErrorKind::Internal, "the kernel gives no random bytes");
  }
  return bytes;
}

std::string base64(std::string_view bytes) {
  std::string out(4 * ((bytes.size() + 2) / 3) + 1, '\0');
  const int n = ::EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                  reinterpret_cast<const unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  out.resize(static_cast<std::size_t>(n));
  return out;
}

/// Numbers and strings as SSH writes them: big-endian, with their length in front.
struct Wire {
  std::string bytes;
  Wire& number(std::uint32_t value) {
    for (int shift = 24; shift >= 0; shift -= 8) {
      bytes += static_cast<char>(value >> shift & 0xff);
    }
    return *this;
  }
  Wire& text(std::string_view value) {
    number(static_cast<std::uint32_t>(value.size()));
    bytes.append(value);
    return *this;
  }
};

}  // namespace

std::string random_token() {
  std::string out;
  for (const unsigned char byte : random_bytes<24>()) {
    out += format("{:02x}", byte);
  }
  return out;
}

SshKey make_ssh_key(std::string_view comment) {
  const auto seed = random_bytes<32>();
  const std::unique_ptr<EVP_PKEY, decltype(&::EVP_PKEY_free)> key(
      ::EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, seed.data(), seed.size()), &::EVP_PKEY_free);
  std::array<unsigned char, 32> point{};
  std::size_t size = point.size();
  if (key == nullptr || ::EVP_PKEY_get_raw_public_key(key.get(), point.data(), &size) != 1) {
    throw Error(ErrorKind::Internal, "OpenSSL makes no Ed25519 key");
  }
  const std::string_view public_part(reinterpret_cast<const char*>(point.data()), point.size());
  const std::string_view private_part(reinterpret_cast<const char*>(seed.data()), seed.size());
  const Wire public_blob = Wire().text("ssh-ed25519").text(public_part);
  const auto check = random_bytes<4>();
  const auto check_number = static_cast<std::uint32_t>(check[0] << 24 | check[1] << 16 | check[2] << 8 | check[3]);
  Wire secret;
  secret.number(check_number).number(check_number).text("ssh-ed25519").text(public_part);
  secret.text(std::string(private_part) + std::string(public_part)).text(comment);
  for (char pad = 1; secret.bytes.size() % 8 != 0; ++pad) {
    secret.bytes += pad;
  }
  Wire file;
  file.bytes.assign("openssh-key-v1\0", 15);
  file.text("none").text("none").text("").number(1).text(public_blob.bytes).text(secret.bytes);
  SshKey out;
  out.private_key = "-----BEGIN OPENSSH PRIVATE KEY-----\n";
  const std::string encoded = base64(file.bytes);
  for (std::size_t at = 0; at < encoded.size(); at += 70) {
    out.private_key += encoded.substr(at, 70) + "\n";
  }
  out.private_key += "-----END OPENSSH PRIVATE KEY-----\n";
  out.public_line = format("ssh-ed25519 {} {}\n", base64(public_blob.bytes), comment);
  return out;
}

std::string hash_password(std::string_view password) {
  constexpr std::uint32_t kRounds = 10;
  constexpr std::uint32_t kMemory = 10 * 1024;
  constexpr std::uint32_t kLanes = 8;
  constexpr std::size_t kHash = 16;
  const auto salt = random_bytes<16>();
  std::vector<char> out(::argon2_encodedlen(kRounds, kMemory, kLanes, salt.size(), kHash, Argon2_id));
  const int r = ::argon2id_hash_encoded(kRounds, kMemory, kLanes, password.data(), password.size(), salt.data(),
                                        salt.size(), kHash, out.data(), out.size());
  if (r != ARGON2_OK) {
    throw Error(ErrorKind::Internal, "the password cannot be hashed: {}", ::argon2_error_message(r));
  }
  return std::string("argon2:") + out.data();
}

}  // namespace slip::workspace
