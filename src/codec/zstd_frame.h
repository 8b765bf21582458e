#pragma once

#include <memory>
#include <string>

#include "core/bytes.h"

namespace slip::codec {

/// The pinned zstd encoder: libzstd at a fixed level. One object per thread.
class ZstdCompressor {
 public:
  ZstdCompressor();
  ~ZstdCompressor();
  ZstdCompressor(const ZstdCompressor&) = delete;
  ZstdCompressor& operator=(const ZstdCompressor&) = delete;
  /// One frame that stands alone, with its content's size and checksum.
  /// @source RFC 8878 3.1.1
  [[nodiscard]] Bytes frame(ByteView plain) const;

 private:
  struct Free;
  struct State;
  std::unique_ptr<State> state_;
};

/// "libzstd/1.5.4/9": library, its version at run time, level.
std::string zstd_id();

}  // namespace slip::codec
