#pragma once

#include <memory>

#include "core/bytes.h"
#include "core/digest.h"

namespace slip::codec {

/// Incremental SHA-256 (OpenSSL EVP: uses the CPU's SHA extensions).
class Sha256 {
 public:
  Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  ~Sha256();
  void update(ByteView bytes);
  /// The digest of all so far; the object must not be updated afterwards.
  Digest finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

Digest sha256(ByteView bytes);
inline Digest sha256(std::string_view text) { return sha256(as_bytes(text)); }

/// Hashes and counts what passes; forwards to `next` when there is one (which must outlive it).
class HashSink final : public Sink {
 public:
  explicit HashSink(Sink* next = nullptr) : next_(next) {}
  void write(ByteView bytes) override;
  Digest finish() { return hash_.finish(); }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  Sha256 hash_;
  Sink* next_;
  std::uint64_t size_ = 0;
};

}  // namespace slip::codec
