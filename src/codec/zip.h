#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "core/bytes.h"

namespace slip::codec {

struct ZipEntry {
  std::string name;     ///< relative, "/" between parts, no "..", "." or empty part; a folder ends in "/"
  bool stored = false;  ///< method 0; otherwise DEFLATE (8)
  std::uint32_t crc32 = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t size = 0;
  std::uint32_t unix_mode = 0;    ///< with type bits; 0 when the archive has none
  std::uint64_t data_offset = 0;  ///< of the compressed data
  [[nodiscard]] bool folder() const noexcept { return name.ends_with('/'); }
};

struct ZipLimits {
  std::size_t max_entries = 200'000;
  std::uint64_t max_entry_size = std::uint64_t{8} << 30;
  std::uint64_t max_total_size = std::uint64_t{64} << 30;
};

/// Fills the span with the archive's bytes from `offset` on, all of it or throws.
using ReadAt = std::function<void(std::uint64_t offset, std::span<std::uint8_t> into)>;

/// Reads the central directory (ZIP64 too) and where each entry's data lies. Refuses encryption, other methods,
/// overlapping or duplicate entries, and names that could lead out of a folder. The archive must be whole.
/// @throws Error Invalid naming `name` and the entry
/// @source PKWARE APPNOTE 6.3.9 4.3, 4.5.3
std::vector<ZipEntry> read_zip(ByteView archive, const std::string& name, const ZipLimits& limits = {});
/// The same for an archive of `size` bytes that is read piece by piece; only the directory and the entries' local
/// headers are read, so a wheel of half a gigabyte costs little memory.
std::vector<ZipEntry> read_zip(const ReadAt& read, std::uint64_t size, const std::string& name,
                               const ZipLimits& limits = {});

/// Content of one entry out of its packed bytes, checked against size and CRC-32.
void unpack_zip_entry(ByteView packed, const ZipEntry& entry, Sink& out, const std::string& name);
/// The same out of the whole archive.
void extract_zip(ByteView archive, const ZipEntry& entry, Sink& out, const std::string& name);

}  // namespace slip::codec
