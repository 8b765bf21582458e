#include "launch/relay.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

namespace slip::launch {
namespace {

constexpr std::size_t kPipeSize = 1 << 20;

void make_pipe(os::Fd& in, os::Fd& out, std::size_t size) {
  int ends[2];
  os::call(::pipe2, static_cast<int*>(ends), O_CLOEXEC | O_NONBLOCK).or_throw("make a pipe");
  out = os::Fd(ends[0]);
  in = os::Fd(ends[1]);
  ::fcntl(in.get(), F_SETPIPE_SZ, static_cast<int>(size));  // where refused, the default does
}

void set_up(int fd) {
  ::fcntl(fd, F_SETFL, ::fcntl(fd, F_GETFL) | O_NONBLOCK);
  const int on = 1;
  ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

}  // namespace

Relay::Relay()
    : epoll_(static_cast<int>(os::call([] { return ::epoll_create1(EPOLL_CLOEXEC); }).or_throw("make an epoll"))) {}
Relay::~Relay() = default;

void Relay::watch(int fd, std::function<void()> ready) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.fd = fd;
  os::call(::epoll_ctl, epoll_.get(), EPOLL_CTL_ADD, fd, &event).or_throw("watch a socket");
  watched_[fd] = std::move(ready);
}

void Relay::watch_writable(int fd, std::function<void()> ready) {
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.fd = fd;
  os::call(::epoll_ctl, epoll_.get(), EPOLL_CTL_ADD, fd, &event).or_throw("watch a socket");
  watched_[fd] = std::move(ready);
}

void Relay::forget(int fd) {
  if (watched_.erase(fd) > 0) {
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
  }
}

void Relay::join(os::Fd a, os::Fd b) {
  auto pair = std::make_shared<Pair>();
  set_up(a.get());
  set_up(b.get());
  pair->ways[0].from = pair->ways[1].to = a.get();
  pair->ways[0].to = pair->ways[1].from = b.get();
  for (Direction& way : pair->ways) {
    make_pipe(way.pipe_in, way.pipe_out, kPipeSize);
  }
  for (const int fd : {a.get(), b.get()}) {
    epoll_event event{};
    event.data.fd = fd;
    os::call(::epoll_ctl, epoll_.get(), EPOLL_CTL_ADD, fd, &event).or_throw("watch a connection");
    pairs_of_[fd] = pair;
  }
  pair->a = std::move(a);
  pair->b = std::move(b);
  pairs_[pair.get()] = pair;
  pump(pair);
}

/// Moves what can be moved now. False when the connection is broken.
bool Relay::move(Direction& way) {
  bool moved = true;
  while (moved && !way.done) {
    moved = false;
    if (!way.eof) {
      const ssize_t got = ::splice(way.from, nullptr, way.pipe_in.get(), nullptr, kPipeSize, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (got > 0) {
        way.held += static_cast<std::size_t>(got);
        moved = true;
      } else if (got == 0) {
        way.eof = true;
      } else if (errno != EAGAIN && errno != EINTR) {
        return false;
      }
    }
    if (way.held > 0) {
      const ssize_t put = ::splice(way.pipe_out.get(), nullptr, way.to, nullptr, way.held, SPLICE_F_NONBLOCK | SPLICE_F_MOVE);
      if (put > 0) {
        way.held -= static_cast<std::size_t>(put);
        moved = true;
      } else if (put < 0 && errno != EAGAIN && errno != EINTR) {
        return false;
      }
    }
    if (way.eof && way.held == 0) {
      ::shutdown(way.to, SHUT_WR);
      way.done = true;
    }
  }
  return true;
}

void Relay::arm(const Pair& pair) {
  for (std::size_t i = 0; i < 2; ++i) {
    const Direction& out = pair.ways[i];      // reads from this socket
    const Direction& in = pair.ways[1 - i];   // writes to it
    epoll_event event{};
    event.data.fd = out.from;
    event.events = (!out.eof && out.held < kPipeSize / 2 ? EPOLLIN : 0U) | (in.held > 0 ? EPOLLOUT : 0U);
    ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, out.from, &event);
  }
}

void Relay::pump(const std::shared_ptr<Pair>& pair) {
  const bool whole = move(pair->ways[0]) && move(pair->ways[1]);
  if (whole && !(pair->ways[0].done && pair->ways[1].done)) {
    arm(*pair);
    return;
  }
  pairs_of_.erase(pair->a.get());
  pairs_of_.erase(pair->b.get());
  pairs_.erase(pair.get());
}

void Relay::run() {
  std::array<epoll_event, 64> events{};
  while (true) {
    const os::SysRet n = os::call([&] { return ::epoll_wait(epoll_.get(), events.data(), events.size(), -1); });
    if (!n) {
      return;
    }
    for (long i = 0; i < n.value; ++i) {
      const epoll_event& event = events[static_cast<std::size_t>(i)];
      if (const auto watched = watched_.find(event.data.fd); watched != watched_.end()) {
        const auto ready = watched->second;  // a copy: it may forget itself
        ready();
      } else if (const auto at = pairs_of_.find(event.data.fd); at != pairs_of_.end()) {
        const std::shared_ptr<Pair> pair = at->second;
        if ((event.events & EPOLLERR) != 0) {
          pair->ways[0].done = pair->ways[1].done = true;
        }
        pump(pair);
      }
    }
  }
}

}  // namespace slip::launch
