#pragma once

#include <utility>

#include "core/error.h"

namespace slip::os {

/// Owns one file descriptor. Closes once, without a retry (on Linux the descriptor is gone even after EINTR).
/// Every descriptor of ours is close-on-exec from birth.
class Fd {
 public:
  Fd() = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    if (this != &other) {
      reset();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  [[nodiscard]] bool valid() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;
  /// Closes and throws when the kernel reports a late write error (EIO, ENOSPC). `what` names the file.
  void close_checked(const std::string& what);

 private:
  int fd_ = -1;
};

/// Error for a system call that set errno: "`doing`: No space left on device (ENOSPC)". The kind follows errno
/// (ENOENT NotFound, EACCES/EPERM Denied, ENOSPC/EDQUOT NoSpace with a hint, ENOSYS Unsupported, else Internal).
[[nodiscard]] Error sys_error(int err, std::string doing);

/// One system call's result; errno is taken at once.
struct [[nodiscard]] SysRet {
  long value;
  int err;  ///< 0 on success
  explicit operator bool() const noexcept { return err == 0; }
  template <class... A>
  long or_throw(Fmt<A...> doing, A&&... a) const {
    if (err != 0) {
      throw sys_error(err, format(doing, std::forward<A>(a)...));
    }
    return value;
  }
};

/// Calls fn(args...) again while it fails with EINTR. Never pass ::close.
template <class Fn, class... A>
SysRet call(Fn fn, A... args) noexcept;

}  // namespace slip::os

#include <cerrno>

namespace slip::os {

template <class Fn, class... A>
SysRet call(Fn fn, A... args) noexcept {
  while (true) {
    const auto r = fn(args...);
    if (r != -1) {
      return {static_cast<long>(r), 0};
    }
    if (errno != EINTR) {
      return {-1, errno};
    }
  }
}

}  // namespace slip::os
