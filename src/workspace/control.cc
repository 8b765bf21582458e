#include "workspace/control.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "core/error.h"

namespace slip::workspace {
namespace {

using Json = nlohmann::json;
constexpr int kPatienceMs = 3000;

Json ask(const Folder& folder, const std::string& request) {
  const auto nobody = [&] {
    return Error(ErrorKind::Unavailable, "slipway-init of workspace `{}` does not answer",
                 folder.path.filename().string());
  };
  // Through the folder's descriptor: the path itself may be longer than a socket's address.
  const os::Fd dir = os::open_dir(folder.run());
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string path = format("/proc/self/fd/{}/control", dir.get());
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  const os::Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const std::string line = request + "\n";
  if (!fd.valid() || ::connect(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::send(fd.get(), line.data(), line.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    throw nobody();
  }
  std::string reply;
  char buffer[4096];
  pollfd wait{fd.get(), POLLIN, 0};
  ssize_t n = 0;
  while (::poll(&wait, 1, kPatienceMs) == 1 && (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0) {
    reply.append(buffer, static_cast<std::size_t>(n));
  }
  Json json = Json::parse(reply, nullptr, false);
  if (!json.is_object()) {
    throw nobody();
  }
  return json;
}

}  // namespace

bool is_well(const ServiceState& service) {
  return service.state == "ready" || service.state == "skipped" || service.state == "ended";
}

std::vector<ServiceState> ask_status(const Folder& folder) {
  std::vector<ServiceState> services;
  const Json reply = ask(folder, "status");
  for (const Json& s : reply.value("services", Json::array())) {
    services.push_back({s.value("name", ""), s.value("state", ""), s.value("pid", 0), s.value("restarts", 0U)});
  }
  return services;
}

void order(const Folder& folder, const std::string& verb, const std::string& service) {
  const Json reply = ask(folder, verb + " " + service);
  if (reply.contains("error")) {
    std::string names;
    for (const ServiceState& s : ask_status(folder)) {
      names += (names.empty() ? "`" : ", `") + s.name + "`";
    }
    throw Error(ErrorKind::NotFound, "workspace `{}` has no service `{}`", folder.path.filename().string(), service)
        .add_hint(format("it has {}", names.empty() ? "none" : names));
  }
}

}  // namespace slip::workspace
