#include "codec/sha256.h"

#include <openssl/evp.h>

#include "core/error.h"

namespace slip::codec {
namespace {

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};

/// Fetched once: looking the algorithm up costs more than hashing a small file.
const EVP_MD* algorithm() {
  static const EVP_MD* const kSha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  SLIP_CHECK(kSha256 != nullptr);
  return kSha256;
}

}  // namespace

struct Sha256::State {
  std::unique_ptr<EVP_MD_CTX, FreeContext> context{EVP_MD_CTX_new()};
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  SLIP_CHECK(EVP_DigestInit_ex(state_->context.get(), algorithm(), nullptr) == 1);
}
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;
Sha256::~Sha256() = default;

void Sha256::update(ByteView bytes) {
  SLIP_CHECK(EVP_DigestUpdate(state_->context.get(), bytes.data(), bytes.size()) == 1);
}

Digest Sha256::finish() {
  std::array<std::uint8_t, 32> bytes{};
  SLIP_CHECK(EVP_DigestFinal_ex(state_->context.get(), bytes.data(), nullptr) == 1);
  return Digest(bytes);
}

Digest sha256(ByteView bytes) {
  Sha256 hash;
  hash.update(bytes);
  return hash.finish();
}

void HashSink::write(ByteView bytes) {
  hash_.update(bytes);
  size_ += bytes.size();
  if (next_ != nullptr) {
    next_->write(bytes);
  }
}

}  // namespace slip::codec
