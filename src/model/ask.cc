#include "model/ask.h"

#include <arpa/inet.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/error.h"
#include "core/text.h"
#include "launch/enter_net.h"
#include "os/fd.h"

namespace slip::model {
namespace {

using Json = nlohmann::json;

constexpr std::size_t kMostAnswer = 256u << 20;
constexpr timeval kPatience{60, 0};

os::Fd connect_to(std::uint16_t port) {
  os::Fd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  os::call(::connect, fd.get(), reinterpret_cast<const sockaddr*>(&address), socklen_t{sizeof address})
      .or_throw("connect to port {}", port);
  return fd;
}

std::string read_to_end(const os::Fd& fd) {
  std::string answer;
  char buffer[65536];
  while (answer.size() < kMostAnswer) {
    const os::SysRet n = os::call(::recv, fd.get(), static_cast<void*>(buffer), sizeof buffer, 0);
    if (!n || n.value == 0) {
      break;
    }
    answer.append(buffer, static_cast<std::size_t>(n.value));
  }
  return answer;
}

/// [status, body] of one HTTP/1.0 exchange, which ends with the connection.
Json exchange(std::uint16_t port, const std::string& method, const std::string& path, const std::string& body) {
  const os::Fd fd = connect_to(port);
  const std::string request =
      format("{} {} HTTP/1.0\r\nHost: localhost\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{}", method, path,
             body.size(), body);
  for (std::size_t sent = 0; sent < request.size();) {
    const os::SysRet n = os::call(::send, fd.get(), static_cast<const void*>(request.data() + sent),
                                  request.size() - sent, MSG_NOSIGNAL);
    n.or_throw("send a request to port {}", port);
    sent += static_cast<std::size_t>(n.value);
  }
  const std::string answer = read_to_end(fd);
  const std::size_t head = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.") || head == std::string::npos || answer.size() < 12) {
    return {0, "the connection ended without an answer"};
  }
  return {std::atoi(answer.c_str() + 9), answer.substr(head + 4)};
}

}  // namespace

std::string ask_inside(pid_t target, std::uint16_t port, const launch::HostId& id, const std::string& requests) {
  launch::enter_network(target);
  launch::drop_everything(id);
  std::string answers;
  for (const std::string_view line : split(trim(requests), '\n')) {
    const Json request = Json::parse(line);
    Json answer;
    try {
      answer = exchange(port, request.at(0), request.at(1), request.at(2));
    } catch (const Error& e) {
      answer = {0, e.joined()};
    }
    answers += answer.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  }
  return answers;
}

}  // namespace slip::model
