#pragma once

#include <filesystem>
#include <optional>

#include "codec/sha256.h"
#include "core/bytes.h"
#include "core/digest.h"
#include "os/fd.h"

namespace slip::http {

/// The `.part` file of one download: locked against other processes, hashed as it grows.
class PartFile {
 public:
  /// Opens or makes `path` and locks it; nullopt when another process is writing it.
  /// Bytes of an earlier run are kept and hashed when `keep` is set and there are at most `most` of them.
  static std::optional<PartFile> try_open(const std::filesystem::path& path, bool keep,
                                          std::optional<std::uint64_t> most);

  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  void append(ByteView bytes);
  /// Forgets all bytes.
  void restart();
  /// The digest of all bytes. Afterwards only commit(), restart() or remove().
  Digest digest();
  /// Makes the bytes durable under their final name.
  void commit(const std::filesystem::path& target);
  void remove() noexcept;

 private:
  PartFile(std::filesystem::path path, os::Fd fd) : path_(std::move(path)), fd_(std::move(fd)) {}
  void take_over(std::optional<std::uint64_t> most);

  std::filesystem::path path_;
  os::Fd fd_;
  codec::Sha256 hash_;
  std::uint64_t size_ = 0;
};

}  // namespace slip::http
