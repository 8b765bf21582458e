#include "serving/app/probe.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <array>

#include "core/error.h"
#include "os/fd.h"

namespace slip::serving {
namespace {

constexpr std::string_view kAsk = "GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n";

/// A connection to the port, on the address it listens on; all addresses: loopback.
os::Fd connect_to(const std::string& address, std::uint16_t port) {
  const bool v6 = address.find(':') != std::string::npos;
  sockaddr_in6 six{};
  sockaddr_in four{};
  six.sin6_family = AF_INET6;
  six.sin6_port = htons(port);
  four.sin_family = AF_INET;
  four.sin_port = htons(port);
  ::inet_pton(AF_INET6, address == "::" ? "::1" : address.c_str(), &six.sin6_addr);
  ::inet_pton(AF_INET, address == "0.0.0.0" ? "127.0.0.1" : address.c_str(), &four.sin_addr);
  os::Fd fd(static_cast<int>(
      os::call(::socket, v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0).or_throw("open a socket")));
  const timeval patience{5, 0};
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  const auto* name = v6 ? reinterpret_cast<const sockaddr*>(&six) : reinterpret_cast<const sockaddr*>(&four);
  os::call(::connect, fd.get(), name, static_cast<socklen_t>(v6 ? sizeof six : sizeof four))
      .or_throw("connect to {} port {}", address, port);
  return fd;
}

}  // namespace

bool probe(const Options& options, std::string& answer) {
  if (options.rest_api_port == 0 || !options.tls_certificate_file.empty()) {
    throw Error(ErrorKind::Usage, "--probe asks the REST port, without TLS; the server's flags name none")
        .add_hint("over gRPC ask grpc.health.v1.Health/Check");
  }
  try {
    const os::Fd fd = connect_to(options.address, static_cast<std::uint16_t>(options.rest_api_port));
    os::call(::send, fd.get(), static_cast<const void*>(kAsk.data()), kAsk.size(), MSG_NOSIGNAL)
        .or_throw("ask port {}", options.rest_api_port);
    std::array<char, 1024> text{};
    std::string all;
    long got = 0;
    while ((got = os::call(::recv, fd.get(), static_cast<void*>(text.data()), text.size(), 0)
                      .or_throw("read the answer of port {}", options.rest_api_port)) > 0 &&
           all.size() < text.size()) {
      all.append(text.data(), static_cast<std::size_t>(got));
    }
    const std::size_t body = all.find("\r\n\r\n");
    answer = body == std::string::npos ? "no HTTP answer\n" : all.substr(body + 4);
    return all.starts_with("HTTP/1.1 200 ");
  } catch (const Error& error) {
    answer = error.joined() + "\n";
    return false;
  }
}

}  // namespace slip::serving
