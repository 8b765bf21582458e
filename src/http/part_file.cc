#include "http/part_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>

#include "os/file.h"

namespace slip::http {
namespace {

/// True when `path` still is the file behind `fd`: its last owner may have renamed it before we got the lock.
bool still_there(const os::Fd& fd, const std::filesystem::path& path) {
  struct stat opened{};
  struct stat named{};
  os::call(::fstat, fd.get(), &opened).or_throw("look at `{}`", path.string());
  const os::SysRet found = os::call(::lstat, path.c_str(), &named);
  return found && opened.st_dev == named.st_dev && opened.st_ino == named.st_ino;
}

}  // namespace

std::optional<PartFile> PartFile::try_open(const std::filesystem::path& path, bool keep,
                                           std::optional<std::uint64_t> most) {
  while (true) {
    constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
    os::Fd fd(static_cast<int>(os::call(::open, path.c_str(), kFlags, 0644).or_throw("write `{}`", path.string())));
    const os::SysRet locked = os::call(::flock, fd.get(), LOCK_EX | LOCK_NB);
    if (locked.err == EWOULDBLOCK) {
      return std::nullopt;
    }
    static_cast<void>(locked.or_throw("lock `{}`", path.string()));
    if (!still_there(fd, path)) {
      continue;
    }
    PartFile part(path, std::move(fd));
    if (keep) {
      part.take_over(most);
    } else {
      part.restart();
    }
    return part;
  }
}

void PartFile::take_over(std::optional<std::uint64_t> most) {
  const std::uint64_t there = os::file_size(fd_, path_.string());
  if (most && there > *most) {
    restart();
    return;
  }
  std::array<std::uint8_t, 1 << 16> block;  // NOLINT(cppcoreguidelines-pro-type-member-init): read() fills it
  os::FdSource source(fd_.get(), path_.string());
  while (const std::size_t count = source.read(block)) {
    hash_.update({block.data(), count});
    size_ += count;
  }
}

void PartFile::append(ByteView bytes) {
  os::FdSink(fd_.get(), path_.string()).write(bytes);
  hash_.update(bytes);
  size_ += bytes.size();
}

void PartFile::restart() {
  os::call(::ftruncate, fd_.get(), off_t{0}).or_throw("empty `{}`", path_.string());
  os::call(::lseek, fd_.get(), off_t{0}, SEEK_SET).or_throw("empty `{}`", path_.string());
  hash_ = codec::Sha256();
  size_ = 0;
}

Digest PartFile::digest() { return hash_.finish(); }

void PartFile::commit(const std::filesystem::path& target) {
  os::durable_sync(fd_, path_.string());
  os::durable_rename(path_, target);
}

void PartFile::remove() noexcept { ::unlink(path_.c_str()); }

}  // namespace slip::http
