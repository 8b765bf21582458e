#include "launch/forward.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "core/error.h"
#include "launch/enter_net.h"
#include "launch/relay.h"

namespace slip::launch {
namespace {

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

os::Fd make_socket(int flags) {
  return os::Fd(static_cast<int>(os::call([flags] {
                                   return ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);
                                 }).or_throw("make a socket")));
}

/// Accepts one connection of the host and starts its twin inside; both are joined once that is connected.
void carry(Relay& relay, const Forward& forward) {
  os::Fd host(::accept4(forward.listener.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
  if (!host.valid()) {
    return;
  }
  os::Fd inside = make_socket(0);
  const sockaddr_in address = loopback(forward.inside);
  // On loopback connect() is over at once: either a program listens or it is refused, which the client sees as an end.
  if (::connect(inside.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    relay.join(std::move(host), std::move(inside));
  }
}

}  // namespace

os::Fd listen_on_loopback(std::uint16_t port) {
  os::Fd fd = make_socket(SOCK_NONBLOCK);
  const int on = 1;
  ::setsockopt(fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const sockaddr_in address = loopback(port);
  const os::SysRet bound =
      os::call([&] { return ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address); });
  if (bound.err == EADDRINUSE) {
    throw Error(ErrorKind::Conflict, "port {} of 127.0.0.1 is taken", port);
  }
  bound.or_throw("listen on 127.0.0.1:{}", port);
  os::call(::listen, fd.get(), 128).or_throw("listen on 127.0.0.1:{}", port);
  return fd;
}

std::uint16_t port_of(const os::Fd& listener) {
  sockaddr_in address{};
  socklen_t length = sizeof address;
  os::call([&] {
    return ::getsockname(listener.get(), reinterpret_cast<sockaddr*>(&address), &length);
  }).or_throw("ask a socket for its port");
  return ntohs(address.sin_port);
}

os::Child start_forwarder(const std::vector<Forward>& forwards, pid_t target, const HostId& id) {
  std::vector<int> keep;
  for (const Forward& forward : forwards) {
    keep.push_back(forward.listener.get());
  }
  return start_companion(keep, [&] {
    enter_network(target);
    drop_everything(id);
    Relay relay;
    for (const Forward& forward : forwards) {
      relay.watch(forward.listener.get(), [&relay, &forward] { carry(relay, forward); });
    }
    relay.run();
  });
}

}  // namespace slip::launch
