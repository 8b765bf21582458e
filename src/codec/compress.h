#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "core/bytes.h"

namespace slip::codec {

std::uint32_t crc32(std::uint32_t so_far, ByteView bytes) noexcept;

/// The pinned DEFLATE encoder: libdeflate at a fixed level. One object per thread.
class Deflater {
 public:
  Deflater();
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;
  /// One gzip member: header without name and time (XFL 0, OS 255), stream, CRC-32 and size.
  /// @source RFC 1952 2.3
  [[nodiscard]] Bytes gzip_member(ByteView plain) const;

 private:
  struct Free;
  struct State;
  std::unique_ptr<State> state_;
};

/// The ten bytes that start every gzip member of ours.
ByteView gzip_header() noexcept;
/// CRC-32 and size mod 2^32, little endian.
std::string gzip_trailer(std::uint32_t crc, std::uint64_t size);

/// "libdeflate/1.14/6": library, its version at run time, level.
std::string deflater_id();

/// Inflates one raw DEFLATE stream that must end exactly at the end of `packed` and give exactly `size` bytes with
/// `crc`.
/// @throws Error Corrupt naming `what`
void inflate_exact(ByteView packed, std::uint64_t size, std::uint32_t crc, Sink& out, const std::string& what);

/// The same for a stream that is read piece by piece: memory stays bounded whatever its size. `packed` must end where
/// the stream does.
void inflate_exact(Source& packed, std::uint64_t size, std::uint32_t crc, Sink& out, const std::string& what);

/// Unpacks by magic: gzip (any number of members), xz, zstd, or nothing at all. `from` must outlive it.
/// @throws Error Corrupt while reading; `name` stands in messages
std::unique_ptr<Source> open_compressed(Source& from, std::string name);

}  // namespace slip::codec
