#include "init/probe.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <stddef.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

namespace slip::init {
namespace {

constexpr char kVariable[] = "NOTIFY_SOCKET=";

/// A non-blocking connection: its descriptor, or -1 when it was refused at once. `done`: it stands already.
int begin_connection(const Ready& ready, bool& done) {
  const int family = ready.kind == Ready::Kind::Tcp ? AF_INET : AF_UNIX;
  const int fd = ::socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    return -1;
  }
  int result = -1;
  if (family == AF_INET) {
    struct sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(ready.port);
    // Who listens on all addresses is asked on this machine.
    address.sin_addr.s_addr = htonl(ready.address == 0 ? 0x7f000001 : ready.address);
    result = ::connect(fd, reinterpret_cast<const struct sockaddr*>(&address), sizeof address);
  } else {
    struct sockaddr_un address{};
    address.sun_family = AF_UNIX;
    Writer(address.sun_path, sizeof address.sun_path - 1).text(ready.path);
    result = ::connect(fd, reinterpret_cast<const struct sockaddr*>(&address), sizeof address);
  }
  done = result == 0;
  if (!done && errno != EINPROGRESS) {
    ::close(fd);
    return -1;
  }
  return fd;
}

}  // namespace

void Probe::reset() {
  if (fd_ >= 0) {
    ::close(fd_);
    fd_ = -1;
  }
}

bool Probe::ask(const Ready& ready) {
  if (ready.kind == Ready::Kind::File) {
    return ::access(ready.path, F_OK) == 0;
  }
  bool done = false;
  if (fd_ < 0) {
    fd_ = begin_connection(ready, done);
  } else {
    struct pollfd wait{fd_, POLLOUT, 0};
    if (::poll(&wait, 1, 0) != 1) {
      return false;
    }
    int error = 0;
    socklen_t size = sizeof error;
    done = ::getsockopt(fd_, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
    if (!done) {
      reset();
    }
  }
  if (done) {
    reset();
  }
  return done;
}

bool NotifySocket::open(const char* service) {
  uint64_t secret = 0;
  if (::getrandom(&secret, sizeof secret, 0) != sizeof secret) {
    return false;
  }
  Writer variable(variable_, sizeof variable_ - 1);
  variable.text(kVariable).text("@slipway-init/").text(service).text("/").number(secret);
  struct sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const Text name{variable_ + sizeof kVariable, variable.written().size - sizeof kVariable};  // behind the "@"
  memcpy(address.sun_path + 1, name.data, name.size);
  const auto size = static_cast<socklen_t>(offsetof(struct sockaddr_un, sun_path) + 1 + name.size);
  fd_ = ::socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd_ >= 0 && ::bind(fd_, reinterpret_cast<const struct sockaddr*>(&address), size) != 0) {
    ::close(fd_);
    fd_ = -1;
  }
  return fd_ >= 0;
}

bool NotifySocket::take() const {
  bool ready = false;
  char text[1024];
  for (ssize_t size = 0; (size = ::recv(fd_, text, sizeof text, 0)) >= 0;) {
    const Text all{text, static_cast<size_t>(size)};
    for (size_t begin = 0; begin < all.size;) {
      size_t end = begin;
      while (end < all.size && all[end] != '\n') {
        ++end;
      }
      ready = ready || Text(all.data + begin, end - begin) == "READY=1";
      begin = end + 1;
    }
  }
  return ready;
}

}  // namespace slip::init
