#include "registry/keys.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <array>
#include <cstring>

#include "codec/base64.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "os/file.h"
#include "registry/cosign_key.h"

namespace slip::registry {
namespace {

constexpr std::uint64_t kLargestFile = 64u << 10;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>;

Bio memory(std::string_view text) { return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free}; }

EVP_PKEY* raw(const std::shared_ptr<void>& key) { return static_cast<EVP_PKEY*>(key.get()); }

std::shared_ptr<void> owned(EVP_PKEY* key) {
  return {key, [](void* k) { EVP_PKEY_free(static_cast<EVP_PKEY*>(k)); }};
}

void require_p256(EVP_PKEY* key, const std::string& name) {
  std::array<char, 64> group{};
  std::size_t size = 0;
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC ||
      EVP_PKEY_get_group_name(key, group.data(), group.size(), &size) != 1 ||
      std::string_view(group.data(), size) != "prime256v1") {
    throw Error(ErrorKind::Unsupported, "`{}` is no key on the curve P-256", name)
        .add_hint("make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
  }
}

struct Asked {
  const std::function<std::string()>& password;
  bool was_asked = false;
};

int give_password(char* into, int size, int, void* data) {
  auto& asked = *static_cast<Asked*>(data);
  asked.was_asked = true;
  const std::string password = asked.password();
  const int count = std::min(size, static_cast<int>(password.size()));
  std::memcpy(into, password.data(), static_cast<std::size_t>(count));
  return count;
}

}  // namespace

PublicKey PublicKey::parse(std::string_view text, const std::string& name) {
  const Bio bio = memory(text);
  EVP_PKEY* key = PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr);
  ERR_clear_error();
  if (key == nullptr) {
    throw Error(ErrorKind::Invalid, "`{}` holds no public key in PEM form", name)
        .add_hint("the public half of a key: openssl pkey -in key.pem -pubout -out key.pub");
  }
  PublicKey result(owned(key), name);
  require_p256(key, name);
  return result;
}

PublicKey PublicKey::load(const std::filesystem::path& file) {
  return parse(os::read_file(file, kLargestFile), file.string());
}

bool PublicKey::verify(std::string_view bytes, std::string_view signature) const {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const bool good =
      EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, raw(key_)) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()), signature.size(),
                       reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size()) == 1;
  ERR_clear_error();
  return good;
}

std::string PublicKey::hint() const {
  unsigned char* der = nullptr;
  const int size = i2d_PUBKEY(raw(key_), &der);
  SLIP_CHECK(size > 0);
  const Digest digest = codec::sha256(ByteView(der, static_cast<std::size_t>(size)));
  OPENSSL_free(der);
  return codec::base64(as_text(digest.bytes()));
}

PrivateKey PrivateKey::parse(std::string_view text, const std::string& name,
                             const std::function<std::string()>& password) {
  EVP_PKEY* key = nullptr;
  if (is_cosign_key(text)) {
    std::string document = open_cosign_key(text, name, password);
    const Bio bio = memory(document);
    key = d2i_PrivateKey_bio(bio.get(), nullptr);
    OPENSSL_cleanse(document.data(), document.size());
  } else {
    const Bio bio = memory(text);
    Asked asked{password};
    key = PEM_read_bio_PrivateKey(bio.get(), nullptr, &give_password, &asked);
    if (key == nullptr && asked.was_asked) {
      ERR_clear_error();
      throw Error(ErrorKind::Denied, "the password does not open the key `{}`", name);
    }
  }
  ERR_clear_error();
  if (key == nullptr) {
    throw Error(ErrorKind::Invalid, "`{}` holds no private key in PEM form", name)
        .add_hint("make one: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out key.pem");
  }
  PrivateKey result(PublicKey(owned(key), name));
  require_p256(key, name);
  return result;
}

PrivateKey PrivateKey::load(const std::filesystem::path& file, const std::function<std::string()>& password) {
  return parse(os::read_file(file, kLargestFile), file.string(), password);
}

std::string PrivateKey::sign(std::string_view bytes) const {
  const Context context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
  const auto* data = reinterpret_cast<const unsigned char*>(bytes.data());
  std::size_t size = 0;
  SLIP_CHECK(EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, raw(public_.key_)) == 1);
  SLIP_CHECK(EVP_DigestSign(context.get(), nullptr, &size, data, bytes.size()) == 1);
  std::string signature(size, '\0');
  SLIP_CHECK(EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size, data,
                            bytes.size()) == 1);
  signature.resize(size);
  return signature;
}

}  // namespace slip::registry
