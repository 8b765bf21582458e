#include "os/fd.h"

#include <unistd.h>

namespace slip::os {

void Fd::reset() noexcept {
  if (fd_ >= 0) {
    ::close(std::exchange(fd_, -1));
  }
}

void Fd::close_checked(const std::string& what) {
  if (fd_ < 0) {
    return;
  }
  // EINTR still frees the descriptor on Linux, so it is no write error.
  if (::close(std::exchange(fd_, -1)) != 0 && errno != EINTR) {
    const int err = errno;
    throw sys_error(err, format("close `{}`", what));
  }
}

Error sys_error(int err, std::string doing) {
  ErrorKind kind = ErrorKind::Internal;
  switch (err) {
    case ENOENT:
    case ESRCH:  // also what reading a file of /proc gives when its process has just ended
    case ENOTDIR: kind = ErrorKind::NotFound; break;
    case EACCES:
    case EPERM:
    case EROFS: kind = ErrorKind::Denied; break;
    case ENOSPC:
    case EDQUOT: kind = ErrorKind::NoSpace; break;
    case ENOSYS:
    case EOPNOTSUPP: kind = ErrorKind::Unsupported; break;
    case EEXIST:
    case ENOTEMPTY:
    case EBUSY: kind = ErrorKind::Conflict; break;
    case ENAMETOOLONG:
    case ELOOP:
    case EISDIR: kind = ErrorKind::Invalid; break;
    default: break;
  }
  Error error(kind, "{}", doing);
  error.add_cause(errno_text(err));
  if (kind == ErrorKind::NoSpace) {
    error.add_hint(err == EDQUOT ? "free some of your disk quota, or point SLIPWAY_STORE at another disk"
                                 : "free some disk space, or point SLIPWAY_STORE at another disk");
  } else if (err == EROFS) {
    error.add_hint("the file system is mounted read-only");
  }
  return error;
}

}  // namespace slip::os
