#include "os/space.h"

#include <sys/statvfs.h>
#include <unistd.h>

namespace slip::os {

std::optional<std::uint64_t> free_bytes(const std::filesystem::path& path) {
  struct statvfs fs{};
  if (::statvfs(path.c_str(), &fs) != 0 || fs.f_blocks == 0) {
    return std::nullopt;
  }
  const std::uint64_t blocks = ::geteuid() == 0 ? fs.f_bfree : fs.f_bavail;  // what is reserved is root's
  return blocks * fs.f_frsize;
}

}  // namespace slip::os
