// The way out of a workspace whose network has only lo: an HTTP proxy that listens inside and connects from the host.
#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "core/error.h"
#include "core/text.h"
#include "launch/enter_net.h"
#include "launch/forward.h"
#include "launch/proxy_request.h"
#include "launch/relay.h"

namespace slip::launch {
namespace {

constexpr int kPatienceMs = 20'000;
constexpr int kMostStarting = 64;  ///< connections whose far end is not reached yet

bool is_private_to_host(const sockaddr* address) {
  if (address->sa_family == AF_INET) {
    const std::uint32_t ip = ntohl(reinterpret_cast<const sockaddr_in*>(address)->sin_addr.s_addr);
    return ip >> 24 == 127 || ip >> 24 == 0 || ip >> 16 == 0xa9fe;
  }
  if (address->sa_family != AF_INET6) {
    return true;
  }
  const in6_addr& ip = reinterpret_cast<const sockaddr_in6*>(address)->sin6_addr;
  if (IN6_IS_ADDR_V4MAPPED(&ip)) {
    return ip.s6_addr[12] == 127 || ip.s6_addr[12] == 0 || (ip.s6_addr[12] == 0xa9 && ip.s6_addr[13] == 0xfe);
  }
  return IN6_IS_ADDR_LOOPBACK(&ip) || IN6_IS_ADDR_UNSPECIFIED(&ip) || IN6_IS_ADDR_LINKLOCAL(&ip);
}

os::Fd connect_to(const addrinfo& address) {
  os::Fd fd(::socket(address.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) {
    return fd;
  }
  if (::connect(fd.get(), address.ai_addr, address.ai_addrlen) != 0) {
    pollfd wait{fd.get(), POLLOUT, 0};
    int error = 0;
    socklen_t length = sizeof error;
    if (errno != EINPROGRESS || ::poll(&wait, 1, kPatienceMs) != 1 ||
        ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length) != 0 || error != 0) {
      fd.reset();
    }
  }
  return fd;
}

/// A connection to host and port; `why` says why there is none.
os::Fd reach(const std::string& host, const std::string& port, bool loopback_allowed, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (const int r = ::getaddrinfo(host.c_str(), port.c_str(), &hints, &found); r != 0) {
    why = format("cannot look `{}` up: {}", host, ::gai_strerror(r));
    return {};
  }
  const std::unique_ptr<addrinfo, decltype(&::freeaddrinfo)> guard(found, &::freeaddrinfo);
  why = format("cannot connect to {}:{}", host, port);
  for (const addrinfo* at = found; at != nullptr; at = at->ai_next) {
    if (!loopback_allowed && is_private_to_host(at->ai_addr)) {
      why = format("{}:{} is the host's own, which workspaces do not reach", host, port);
      continue;
    }
    if (os::Fd fd = connect_to(*at); fd.valid()) {
      return fd;
    }
  }
  return {};
}

bool send_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0) {
      pollfd wait{fd, POLLOUT, 0};
      if (errno != EAGAIN || ::poll(&wait, 1, kPatienceMs) != 1) {
        return false;
      }
      continue;
    }
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

/// The head of a request with whatever came behind it; empty when the client gave up.
std::string read_head(int fd) {
  std::string text;
  char buffer[4096];
  pollfd wait{fd, POLLIN, 0};
  while (text.find("\r\n\r\n") == std::string::npos && text.size() < kMostProxyHead) {
    if (::poll(&wait, 1, kPatienceMs) != 1) {
      return {};
    }
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
      return {};
    }
    text.append(buffer, static_cast<std::size_t>(n));
  }
  return text;
}

/// Finished pairs on their way from the threads that made them to the one that carries their bytes.
class Gateway {
 public:
  Gateway(const Outbound& outbound, int listener)
      : outbound_(outbound), listener_(listener), bell_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

  [[noreturn]] void run() {
    relay_.watch(listener_, [this] { take(); });
    relay_.watch(bell_.get(), [this] { join_ready(); });
    relay_.run();
    throw Error(ErrorKind::Internal, "the outbound gateway lost its epoll");
  }

 private:
  struct Made {
    os::Fd client;
    os::Fd server;
  };

  void take() {
    os::Fd client(::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC));
    if (!client.valid() || starting_.load() >= kMostStarting) {
      return;  // closing tells the client that there is no room
    }
    ++starting_;
    std::thread([this, fd = client.release()] {
      serve(os::Fd(fd));
      --starting_;
    }).detach();
  }

  void serve(os::Fd client) {
    const std::string text = read_head(client.get());
    const auto request = parse_proxy_request(text);
    if (!request) {
      send_all(client.get(), "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n");
      return;
    }
    std::string why;
    const bool through = uses_proxy(outbound_, request->host);
    const ProxyAddress proxy = through ? parse_proxy_address(outbound_.proxy) : ProxyAddress{};
    os::Fd server = through ? reach(proxy.host, proxy.port, true, why)
                            : reach(request->host, request->port, allowed(*request), why);
    if (!server.valid()) {
      send_all(client.get(), format("HTTP/1.1 502 Bad Gateway\r\nConnection: close\r\nContent-Type: text/plain\r\n\r\n"
                                    "slipway: {}\n",
                                    why));
      return;
    }
    const std::string first = through ? request->for_proxy(proxy.authorization) : request->for_server();
    const bool told = through || !request->connect ||
                      send_all(client.get(), "HTTP/1.1 200 Connection established\r\n\r\n");
    if (told && send_all(server.get(), first)) {
      const std::lock_guard lock(mutex_);
      made_.push_back({std::move(client), std::move(server)});
      const std::uint64_t one = 1;
      [[maybe_unused]] const auto n = ::write(bell_.get(), &one, sizeof one);
    }
  }

  [[nodiscard]] bool allowed(const ProxyRequest& request) const {
    const std::string wanted = request.host + ":" + request.port;
    return std::find(outbound_.loopback.begin(), outbound_.loopback.end(), wanted) != outbound_.loopback.end();
  }

  void join_ready() {
    std::uint64_t count = 0;
    [[maybe_unused]] const auto n = ::read(bell_.get(), &count, sizeof count);
    std::vector<Made> made;
    {
      const std::lock_guard lock(mutex_);
      made.swap(made_);
    }
    for (Made& pair : made) {
      relay_.join(std::move(pair.client), std::move(pair.server));
    }
  }

  const Outbound& outbound_;
  int listener_;
  os::Fd bell_;
  Relay relay_;
  std::mutex mutex_;
  std::vector<Made> made_;
  std::atomic<int> starting_{0};
};

/// A socket that listens on 127.0.0.1 in the network namespace of `target`: made by a child that goes there.
os::Fd listen_inside(std::uint16_t port, pid_t target) {
  int ends[2];
  os::call(::socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, static_cast<int*>(ends)).or_throw("make a socket");
  os::Fd ours(ends[0]);
  os::Fd theirs(ends[1]);
  os::Child child = start_companion({theirs.get()}, [&] {
    enter_network(target);
    const os::Fd listener = listen_on_loopback(port);
    os::send_fd(theirs, listener);
  });
  theirs.reset();
  os::Fd listener = os::receive_fd(ours);
  if (!child.wait().ok() || !listener.valid()) {
    throw Error(ErrorKind::Unavailable, "the outbound gateway cannot listen inside the workspace");
  }
  return listener;
}

}  // namespace

os::Child start_outbound(const Outbound& outbound, std::uint16_t port, pid_t target, const HostId& id) {
  const os::Fd listener = listen_inside(port, target);
  return start_companion({listener.get()}, [&] {
    drop_everything(id);
    Gateway(outbound, listener.get()).run();
  });
}

}  // namespace slip::launch
