#include "deb/java_keystore.h"

#include <openssl/evp.h>

#include <array>
#include <cstdint>
#include <map>

#include "core/error.h"
#include "core/text.h"

namespace slip::deb {
namespace {

constexpr std::uint64_t kMagic = 0xfeedfeed;
constexpr std::uint64_t kVersion = 2;
constexpr std::uint64_t kCertificate = 2;
constexpr std::size_t kDigestSize = 20;
constexpr std::string_view kPassword = "changeit";
constexpr std::string_view kSalt = "Mighty Aphrodite";

class Reader {
 public:
  Reader(std::string_view bytes, std::string_view name) : rest_(bytes), name_(name) {}

  std::string_view take(std::size_t size) {
    if (size > rest_.size()) {
      throw Error(ErrorKind::Invalid, "the Java key store `{}` is cut short", name_);
    }
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  std::uint64_t number(std::size_t size) {
    std::uint64_t value = 0;
    for (const char byte : take(size)) {
      value = (value << 8) | static_cast<std::uint8_t>(byte);
    }
    return value;
  }
  [[nodiscard]] bool empty() const noexcept { return rest_.empty(); }

 private:
  std::string_view rest_;
  std::string_view name_;
};

void put(std::string& out, std::uint64_t value, unsigned size) {
  for (unsigned byte = size; byte-- > 0;) {
    out += static_cast<char>((value >> (8 * byte)) & 0xff);
  }
}

/// What stands behind the entries: SHA-1 over the password in UTF-16, the salt and everything before.
std::string seal(std::string_view content) {
  std::string input;
  for (const char letter : kPassword) {
    input += '\0';
    input += letter;
  }
  input += kSalt;
  input += content;
  std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  if (::EVP_Digest(input.data(), input.size(), digest.data(), &size, ::EVP_sha1(), nullptr) != 1) {
    throw Error(ErrorKind::Internal, "OpenSSL gave no SHA-1");
  }
  return {reinterpret_cast<const char*>(digest.data()), size};
}

/// A certificate as it stands behind its time: type and bytes, each with its size.
std::string certificate(Reader& in) {
  std::string out;
  const std::uint64_t type_size = in.number(2);
  put(out, type_size, 2);
  out += in.take(static_cast<std::size_t>(type_size));
  const std::uint64_t size = in.number(4);
  put(out, size, 4);
  out += in.take(static_cast<std::size_t>(size));
  return out;
}

}  // namespace

std::string normalised_keystore(std::string_view bytes, std::string_view name) {
  const auto unsupported = [&](std::string_view why) {
    return Error(ErrorKind::Unsupported, "the Java key store `{}` {}", name, why);
  };
  if (bytes.size() < kDigestSize) {
    throw Error(ErrorKind::Invalid, "the Java key store `{}` is cut short", name);
  }
  const std::string_view content = bytes.substr(0, bytes.size() - kDigestSize);
  Reader in(content, name);
  if (in.number(4) != kMagic || in.number(4) != kVersion) {
    throw unsupported("is not in the format JKS 2");
  }
  if (seal(content) != bytes.substr(content.size())) {
    throw unsupported("has another password than `changeit`, or is damaged");
  }
  std::map<std::string, std::string, std::less<>> certificates;
  for (std::uint64_t left = in.number(4); left > 0; --left) {
    if (in.number(4) != kCertificate) {
      throw unsupported("holds a private key, which must not be in an image");
    }
    const std::string alias(in.take(static_cast<std::size_t>(in.number(2))));
    in.number(8);  // when it was put in
    if (!certificates.emplace(alias, certificate(in)).second) {
      throw Error(ErrorKind::Invalid, "the Java key store `{}` names `{}` twice", name, printable(alias));
    }
  }
  if (!in.empty()) {
    throw Error(ErrorKind::Invalid, "the Java key store `{}` has bytes behind its last entry", name);
  }
  std::string out;
  put(out, kMagic, 4);
  put(out, kVersion, 4);
  put(out, certificates.size(), 4);
  for (const auto& [alias, text] : certificates) {
    put(out, kCertificate, 4);
    put(out, alias.size(), 2);
    out += alias;
    put(out, 0, 8);
    out += text;
  }
  return out + seal(out);
}

}  // namespace slip::deb
