#pragma once

#include "codec/compression.h"
#include "lock/lock.h"

/// A lock names the encoder of its images' layers, and so how they are compressed.
namespace slip::lock {

/// What the lock's encoder makes, of this release or another.
inline codec::Compression compression_of(const Lock& lock) noexcept {
  return codec::compression_of(lock.encoder).value_or(codec::Compression::Gzip);
}

/// The lock for images that are compressed so, by this release's encoder; unchanged where that is what it names.
inline Lock compressed_by(Lock lock, codec::Compression compression) {
  if (compression_of(lock) != compression) {
    lock.encoder = codec::encoder_id(compression);
  }
  return lock;
}

}  // namespace slip::lock
