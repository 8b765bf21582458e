#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "core/bytes.h"

namespace slip::codec {

enum class FileType : std::uint8_t { Regular, HardLink, Symlink, CharDevice, BlockDevice, Directory, Fifo };

/// One entry of a tree or tar archive.
///
/// `path` has no leading "/" or "./", no "." or ".." component, no trailing "/", and is never empty
/// (the root folder itself is not an entry).
struct TarEntry {
  std::string path;
  FileType type = FileType::Regular;
  std::uint32_t mode = 0644;  ///< permission bits, 07777
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
  std::uint64_t size = 0;  ///< bytes of content; 0 for everything but Regular
  std::int64_t mtime = 0;  ///< seconds since 1970 UTC
  std::string link;        ///< Symlink: the target text; HardLink: the path of an earlier entry
  std::uint32_t dev_major = 0;
  std::uint32_t dev_minor = 0;
  std::map<std::string, std::string> xattrs;  ///< name → raw value
  bool operator==(const TarEntry&) const = default;
};

/// What foreign archives may cost us.
struct TarLimits {
  std::uint64_t max_entries = 5'000'000;
  std::uint64_t max_entry_size = std::uint64_t{64} << 30;
  std::uint64_t max_total_size = std::uint64_t{256} << 30;
  std::size_t max_path = 4096;
  std::size_t max_pax = 1u << 20;
};

/// Bytes of the header block(s) for an entry: ustar, preceded by a PAX header only when forced (path or link
/// too long to split, size ≥ 8 GiB, id ≥ 2^21, non-ASCII name, xattr). A directory's stored name ends in "/".
/// Depends on nothing but the entry.
/// @source POSIX.1-2017 pax "ustar Interchange Format"; uname and gname are empty, a symlink's mode is 0777
std::string tar_header(const TarEntry& entry);
/// Zero bytes that follow `size` bytes of content: (-size) mod 512.
constexpr std::uint64_t tar_padding(std::uint64_t size) noexcept { return (512 - size % 512) % 512; }
/// Two zero blocks.
std::string tar_end();

/// Reads an archive of any common kind (ustar, GNU long names, PAX, old v7), one entry at a time.
/// Names are normalised ("./usr/bin/" → "usr/bin"); ".." or NUL in a name or an absolute hard link is an error.
/// @throws Error Invalid with the entry's name and position
class TarReader {
 public:
  explicit TarReader(Source& from, const TarLimits& limits = {});
  ~TarReader();
  TarReader(const TarReader&) = delete;
  TarReader& operator=(const TarReader&) = delete;
  /// The next entry, or nullopt at the end. Unread content of the previous entry is skipped.
  std::optional<TarEntry> next();
  /// Content of the current entry (a Regular one); ends after entry.size bytes.
  Source& content();

 private:
  struct State;
  std::unique_ptr<State> state_;
  std::unique_ptr<Source> content_;
};

}  // namespace slip::codec
