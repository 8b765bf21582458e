#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "http/client.h"
#include "oci/layout.h"

namespace slip::registry {

/// The bytes of a blob from any offset on, for an upload that may have to go back.
class BlobReader {
 public:
  BlobReader() = default;
  BlobReader(const BlobReader&) = delete;
  BlobReader& operator=(const BlobReader&) = delete;
  virtual ~BlobReader() = default;
  /// A layer that lies as a file is read from it. One that is only produced runs in a thread of its own, a few MiB
  /// ahead of the reader, and never lies on the disk; going back runs it anew.
  static std::unique_ptr<BlobReader> of(const oci::LayerSource& source);

  virtual void seek(std::uint64_t offset) = 0;
  /// As Source::read(). @throws Error what the producer throws
  virtual std::size_t read(std::span<std::uint8_t> into) = 0;
};

/// `size` bytes of a reader from `offset` on as the body of one request. The first are waited for here, so that no
/// connection stands idle while they are made.
class PartBody final : public http::Body {
 public:
  PartBody(BlobReader& reader, std::uint64_t offset, std::uint64_t size, std::function<void(std::uint64_t)> sent);
  [[nodiscard]] std::uint64_t size() const override { return size_; }
  std::size_t read(std::span<std::uint8_t> into) override;

 private:
  BlobReader& reader_;
  std::uint64_t at_;
  std::uint64_t size_;
  std::uint64_t left_;
  std::function<void(std::uint64_t)> sent_;
  Bytes first_;
  std::size_t first_at_ = 0;
};

}  // namespace slip::registry
