#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"

namespace slip::codec {

struct ZipEntry {
  std::string name;   ///< relative, "/" between parts, no "..", "." or empty part; a folder ends in "/"
  bool stored = false;  ///< method 0; otherwise DEFLATE (8)
  std::uint32_t crc32 = 0;
  std::uint64_t compressed_size = 0;
  std::uint64_t size = 0;
  std::uint32_t unix_mode = 0;     ///< with type bits; 0 when the archive has none
  std::uint64_t data_offset = 0;   ///< of the compressed data
  [[nodiscard]] bool folder() const noexcept { return name.ends_with('/'); }
};

struct ZipLimits {
  std::size_t max_entries = 200'000;
  std::uint64_t max_entry_size = std::uint64_t{8} << 30;
  std::uint64_t max_total_size = std::uint64_t{64} << 30;
};

/// Reads the central directory (ZIP64 too) and where each entry's data lies. Refuses encryption, other methods,
/// overlapping or duplicate entries, and names that could lead out of a folder. The archive must be whole.
/// @throws Error Invalid naming `name` and the entry
/// @source PKWARE APPNOTE 6.3.9 4.3, 4.5.3
std::vector<ZipEntry> read_zip(ByteView archive, const std::string& name, const ZipLimits& limits = {});

/// Content of one entry, checked against size and CRC-32.
void extract_zip(ByteView archive, const ZipEntry& entry, Sink& out, const std::string& name);

}  // namespace slip::codec
