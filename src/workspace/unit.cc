#include "workspace/unit.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "core/error.h"
#include "core/format.h"
#include "workspace/record.h"

namespace slip::workspace {
namespace {

namespace fs = std::filesystem;

std::string unit_name(const std::string& name) { return "slipway-" + name + ".service"; }

fs::path units(const UnitInput& input) { return input.config / "systemd" / (input.root ? "system" : "user"); }

fs::path link_of(const UnitInput& input, const std::string& name) {
  return units(input) / (input.root ? "multi-user.target.wants" : "default.target.wants") / unit_name(name);
}

/// One word of ExecStart or Environment: in quotes, and nothing in it is a specifier or a variable.
std::string quoted(std::string_view word, bool command) {
  std::string out = "\"";
  for (const char c : word) {
    if (c == '"' || c == '\\') {
      out += '\\';
    }
    out += c;
    if (c == '%' || (c == '$' && command)) {
      out += c;
    }
  }
  return out + "\"";
}

}  // namespace

std::string unit_text(const UnitInput& input, const std::string& name) {
  std::string text = "# Written by `slipway up --enable`; `slipway down --disable` takes it away.\n";
  text += format("[Unit]\nDescription=slipway workspace {}\n", name);
  text += input.root ? "After=network-online.target\nWants=network-online.target\n\n" : "\n";
  text += "[Service]\nType=notify\n";
  text += format("ExecStart={} monitor {}\n", quoted(input.program.string(), true), quoted(name, true));
  for (const auto& [variable, folder] : {std::pair<const char*, fs::path>{"SLIPWAY_STORE", input.dirs.store},
                                         {"SLIPWAY_STATE", input.dirs.state},
                                         {"SLIPWAY_CONFIG", input.dirs.config}}) {
    text += "Environment=" + quoted(format("{}={}", variable, folder.string()), false) + "\n";
  }
  text += "KillMode=mixed\nTimeoutStopSec=30\nRestart=on-failure\nRestartSec=5\n\n";
  text += format("[Install]\nWantedBy={}\n", input.root ? "multi-user.target" : "default.target");
  return text;
}

fs::path enable_unit(const UnitInput& input, const std::string& name) {
  const fs::path unit = units(input) / unit_name(name);
  const fs::path link = link_of(input, name);
  os::make_dirs(link.parent_path());
  os::write_file(unit, unit_text(input, name), 0644);
  std::error_code error;
  if (!fs::is_symlink(link, error)) {
    fs::create_symlink(fs::path("..") / unit.filename(), link, error);
    if (error) {
      throw Error(ErrorKind::Denied, "enable `{}`: {}", unit.string(), error.message());
    }
  }
  return unit;
}

bool disable_unit(const UnitInput& input, const std::string& name) {
  std::error_code none;
  fs::remove(link_of(input, name), none);
  return fs::remove(units(input) / unit_name(name), none);
}

void notify_ready() {
  const char* path = std::getenv("NOTIFY_SOCKET");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path == nullptr || *path == '\0' || std::strlen(path) >= sizeof address.sun_path) {
    return;
  }
  std::strncpy(address.sun_path, path, sizeof address.sun_path - 1);
  if (address.sun_path[0] == '@') {
    address.sun_path[0] = '\0';
  }
  const os::Fd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  const auto length = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + std::strlen(path));
  constexpr std::string_view kReady = "READY=1";
  [[maybe_unused]] const auto sent = ::sendto(fd.get(), kReady.data(), kReady.size(), MSG_NOSIGNAL,
                                              reinterpret_cast<const sockaddr*>(&address), length);
}

}  // namespace slip::workspace
