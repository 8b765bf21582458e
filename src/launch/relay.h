#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>

#include "os/fd.h"

namespace slip::launch {

/// Carries bytes between pairs of sockets with splice(2): through a pipe in the kernel, never through our memory. One
/// thread, one epoll; half-closed connections stay half open.
class Relay {
 public:
  Relay();
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// Runs `ready` whenever `fd` can be read, until forget(). The descriptor stays the caller's.
  void watch(int fd, std::function<void()> ready);
  /// The same for writing (a connect() that is under way).
  void watch_writable(int fd, std::function<void()> ready);
  void forget(int fd);
  /// Takes two connected sockets; they are closed when both directions have ended. Descriptors become non-blocking.
  void join(os::Fd a, os::Fd b);
  /// How many pairs there are.
  [[nodiscard]] std::size_t pairs() const noexcept { return pairs_.size(); }
  /// For ever; returns only when epoll fails.
  void run();

 private:
  struct Direction {
    int from = -1;
    int to = -1;
    os::Fd pipe_in;
    os::Fd pipe_out;
    std::size_t held = 0;  ///< bytes in the pipe
    bool eof = false;      ///< `from` has ended
    bool done = false;     ///< and the pipe has been emptied into `to`
  };
  struct Pair {
    os::Fd a;
    os::Fd b;
    std::array<Direction, 2> ways;
  };

  bool move(Direction& way);
  void pump(const std::shared_ptr<Pair>& pair);
  void arm(const Pair& pair);

  os::Fd epoll_;
  std::map<int, std::function<void()>> watched_;
  std::map<int, std::shared_ptr<Pair>> pairs_of_;
  std::map<const Pair*, std::shared_ptr<Pair>> pairs_;
};

}  // namespace slip::launch
