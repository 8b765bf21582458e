#include "workspace/ssh_config.h"

#include <sys/stat.h>

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"

namespace slip::workspace {
namespace {

/// A path where ssh_config expands `%` (Include does not).
std::string expanded(const std::filesystem::path& path) {
  std::string text = path.string();
  for (std::size_t at = text.find('%'); at != std::string::npos; at = text.find('%', at + 2)) {
    text.insert(at, "%");
  }
  return "\"" + text + "\"";
}

std::string include_line(const std::filesystem::path& path) { return "Include \"" + path.string() + "\""; }

std::uint16_t port_or_none(const Record& record, const char* service) {
  const auto at = record.ports.find(service);
  return at == record.ports.end() ? std::uint16_t{0} : at->second;
}

}  // namespace

std::string ssh_block(const Record& record, const Folder& folder) {
  std::string out = format("Host {}\n", record.name);
  out += "  HostName 127.0.0.1\n";
  out += format("  Port {}\n  User {}\n", port_or_none(record, "ssh"), record.user);
  out += format("  IdentityFile {}\n  IdentitiesOnly yes\n", expanded(folder.client_key()));
  out += format("  HostKeyAlias {}\n  UserKnownHostsFile {}\n", record.name, expanded(folder.known_hosts()));
  out += "  StrictHostKeyChecking yes\n  ForwardAgent no\n  ForwardX11 no\n";
  return out;
}

std::string remote_ssh_block(const Record& record, const std::string& via, const std::string& host_key) {
  std::string out = format("# Append to ~/.ssh/config; then: ssh {}\n", record.name);
  out += format("# Once: echo '{}' >> ~/.ssh/known_hosts\n", std::string(trim(known_host_line(record, host_key))));
  out += format("Host {}\n  HostName 127.0.0.1\n  Port {}\n  User {}\n", record.name, port_or_none(record, "ssh"),
                record.user);
  out += format("  ProxyJump {}\n  HostKeyAlias {}\n  StrictHostKeyChecking yes\n", via, record.name);
  if (record.jupyter) {
    // Seen from the workspace, Jupyter is at its own loopback, whatever port the server gave it.
    const std::uint16_t port = port_or_none(record, "jupyter");
    out += format("  LocalForward 127.0.0.1:{} 127.0.0.1:8888\n", port);
  }
  return out;
}

std::string known_host_line(const Record& record, const std::string& public_line) {
  const auto words = split(trim(public_line), ' ');
  return words.size() < 2 ? std::string() : format("{} {} {}\n", record.name, words[0], words[1]);
}

void write_ssh_index(const os::HostDirs& dirs) {
  std::string text = "# Written by slipway: workspaces by name.\n";
  for (const std::string& name : workspace_names(dirs)) {
    const Folder folder = folder_of(dirs, name);
    std::error_code none;
    if (std::filesystem::exists(folder.ssh_config(), none)) {
      text += include_line(folder.ssh_config()) + "\n";
    }
  }
  if (os::read_file_if_any(dirs.state / "ssh_config") != text) {
    os::write_file(dirs.state / "ssh_config", text, 0600);
  }
}

bool include_ssh_index(const os::HostDirs& dirs, const std::filesystem::path& home) {
  std::error_code none;
  std::filesystem::path config = home / ".ssh" / "config";
  const std::string line = include_line(dirs.state / "ssh_config");
  const std::string before = os::read_file_if_any(config).value_or("");
  for (const std::string_view had : split(before, '\n')) {
    if (trim(had) == line) {
      return false;
    }
  }
  os::make_dirs(home / ".ssh", 0700);
  // A config that is a link into somebody's collection of dot files stays one.
  const std::filesystem::path real = std::filesystem::canonical(config, none);
  config = none ? config : real;
  struct stat st{};
  const unsigned mode = ::stat(config.c_str(), &st) == 0 ? st.st_mode & 0777 : 0600;
  os::write_file(config, line + "\n" + (before.empty() ? "" : "\n" + before), mode);
  return true;
}

}  // namespace slip::workspace
