#include "launch/terminal.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <termios.h>
#include <unistd.h>

#include <array>
#include <string>

namespace slip::launch {
namespace {

/// The caller's terminal in raw mode, for as long as the object lives.
class RawMode {
 public:
  explicit RawMode(int fd) : fd_(fd), active_(::tcgetattr(fd, &before_) == 0) {
    if (active_) {
      termios raw = before_;
      ::cfmakeraw(&raw);
      ::tcsetattr(fd_, TCSADRAIN, &raw);
    }
  }
  RawMode(const RawMode&) = delete;
  RawMode& operator=(const RawMode&) = delete;
  ~RawMode() {
    if (active_) {
      ::tcsetattr(fd_, TCSADRAIN, &before_);
    }
  }

 private:
  int fd_;
  termios before_{};
  bool active_;
};

void copy_window_size(int from, int to) noexcept {
  winsize size{};
  if (::ioctl(from, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    ::ioctl(to, TIOCSWINSZ, &size);
  }
}

/// Bytes on their way; reading stops while it is full.
struct Buffer {
  std::array<char, 16384> bytes;
  std::size_t begin = 0;
  std::size_t end = 0;
  [[nodiscard]] bool empty() const noexcept { return begin == end; }

  /// @return false at the end of the stream
  bool fill(int fd) noexcept {
    const os::SysRet n = os::call(::read, fd, bytes.data(), bytes.size());
    if (!n && n.err == EAGAIN) {
      return true;
    }
    begin = 0;
    end = n.value > 0 ? static_cast<std::size_t>(n.value) : 0;
    return n.value > 0;
  }
  bool drain(int fd) noexcept {
    const os::SysRet n = os::call(::write, fd, bytes.data() + begin, end - begin);
    if (n) {
      begin += static_cast<std::size_t>(n.value);
    }
    return n.err == 0 || n.err == EAGAIN;
  }
};

}  // namespace

void join_terminal(RunningChild& child, const Stdio& stdio, const os::Fd& signals) {
  const int inner = child.terminal().get();
  copy_window_size(stdio.in, inner);
  const RawMode raw(stdio.in);
  // A program that does not read must not block our own loop.
  ::fcntl(inner, F_SETFL, O_RDWR | O_NONBLOCK);
  Buffer keys;
  Buffer output;
  bool keys_open = true;
  bool ended = false;
  while (true) {
    std::array<pollfd, 5> polled{
        pollfd{keys_open && keys.empty() ? stdio.in : -1, POLLIN, 0},
        pollfd{inner, static_cast<short>((output.empty() ? POLLIN : 0) | (keys.empty() ? 0 : POLLOUT)), 0},
        pollfd{output.empty() ? -1 : stdio.out, POLLOUT, 0},
        pollfd{ended ? -1 : child.pidfd().get(), POLLIN, 0},
        pollfd{signals.get(), POLLIN, 0},
    };
    os::call(::poll, polled.data(), nfds_t{polled.size()}, ended ? 0 : -1).or_throw("wait for the terminal");
    if (polled[4].revents != 0) {
      signalfd_siginfo info{};
      if (os::call(::read, signals.get(), &info, sizeof info).value == sizeof info) {
        if (info.ssi_signo == SIGWINCH) {
          copy_window_size(stdio.in, inner);
        } else {
          child.kill(static_cast<int>(info.ssi_signo));
        }
      }
    }
    if (polled[0].revents != 0) {
      keys_open = keys.fill(stdio.in);
    }
    if ((polled[1].revents & POLLOUT) != 0 && !keys.drain(inner)) {
      keys.begin = keys.end;
    }
    const bool more = (polled[1].revents & (POLLIN | POLLHUP)) != 0 && output.empty() && output.fill(inner);
    if (!output.empty() && !output.drain(stdio.out)) {
      return;  // the caller's terminal is gone
    }
    if (ended && !more && output.empty()) {
      return;  // everything it printed has been shown
    }
    ended = ended || polled[3].revents != 0;
    if (!more && !ended && (polled[1].revents & POLLHUP) != 0 && output.empty()) {
      return;  // every program inside has closed the terminal; the end itself is for the caller to await
    }
  }
}

}  // namespace slip::launch
