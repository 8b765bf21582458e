#include "workspace/files.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"
#include "workspace/secrets.h"
#include "workspace/ssh_config.h"

namespace slip::workspace {
namespace {

namespace fs = std::filesystem;

void write_if_new(const fs::path& path, std::string_view text, unsigned mode) {
  if (os::read_file_if_any(path) != text) {
    os::write_file(path, text, mode);
  }
}

void remove_if_any(const fs::path& path) {
  std::error_code none;
  if (fs::exists(path, none)) {
    os::durable_remove(path);
  }
}

/// The home as the image has it; what is in it afterwards is the person's.
void seed_home(const Record& record, const Folder& folder, const fs::path& root) {
  std::error_code none;
  if (fs::exists(folder.home(), none)) {
    return;
  }
  const os::TempDir made(folder.path, ".home-");
  const fs::path from = root / "home" / record.user;
  if (fs::is_directory(from, none)) {
    fs::copy(from, made.path() / "home", fs::copy_options::recursive | fs::copy_options::copy_symlinks);
  }
  os::make_dirs(made.path() / "home", 0755);
  os::durable_rename(made.path() / "home", folder.home());
}

/// Makes a key pair unless there is one; returns its public line.
std::string key_pair(const fs::path& path, const std::string& comment) {
  const fs::path public_path = path.string() + ".pub";
  const auto secret = os::read_file_if_any(path);
  auto line = os::read_file_if_any(public_path);
  if (!secret || !line) {
    // The private half last: with it there, the pair is whole.
    const SshKey key = make_ssh_key(comment);
    os::write_file(public_path, key.public_line, 0644);
    os::write_file(path, key.private_key, 0600);
    line = key.public_line;
  }
  return *line;
}

bool looks_like_key(std::string_view line) {
  return line.starts_with("ssh-") || line.starts_with("ecdsa-") || line.starts_with("sk-");
}

/// The public keys that lie in ~/.ssh.
std::set<std::string> keys_of(const fs::path& home) {
  std::set<std::string> keys;
  std::error_code none;
  if (home.empty()) {
    return keys;
  }
  for (const auto& entry : fs::directory_iterator(home / ".ssh", none)) {
    if (entry.path().extension() != ".pub" || !entry.is_regular_file(none)) {
      continue;
    }
    const std::string text = os::read_file_if_any(entry.path(), 1 << 16).value_or("");
    for (const std::string_view line : split(text, '\n')) {
      if (looks_like_key(trim(line))) {
        keys.emplace(trim(line));
      }
    }
  }
  return keys;
}

void write_ssh(const Record& record, const Folder& folder, const HostFiles& host) {
  const std::string own = key_pair(folder.client_key(), "slipway-" + record.name);
  const std::string host_key = key_pair(folder.keys() / "ssh_host_ed25519_key", record.name);
  std::string authorized = own;
  for (const std::string& key : keys_of(host.home)) {
    authorized += key + "\n";
  }
  for (const std::string& key : record.ssh_keys) {
    authorized += key + "\n";
  }
  write_if_new(folder.keys() / "authorized_keys", authorized, 0600);
  write_if_new(folder.known_hosts(), known_host_line(record, host_key), 0600);
}

void write_pip(const Folder& folder, const HostFiles& host) {
  std::string text =
      "# Written by slipway: what pip asks inside the workspace.\n[global]\ndisable-pip-version-check = true\n";
  // Named, so that it also serves an index at the host's own loopback address.
  text += format("proxy = http://127.0.0.1:{}\n", kOutboundPort);
  if (!host.index.empty()) {
    text += "index-url = " + host.index.front() + "\n";
    for (std::size_t i = 1; i < host.index.size(); ++i) {
      text += (i == 1 ? "extra-index-url =\n    " : "    ") + host.index[i] + "\n";
    }
  }
  const auto ca = host.ca_file.empty() ? std::nullopt : os::read_file_if_any(host.ca_file);
  if (ca) {
    write_if_new(folder.keys() / "ca.crt", *ca, 0644);
    text += "cert = /run/slipway/keys/ca.crt\n";
  }
  write_if_new(folder.keys() / "pip.conf", text, 0600);
}

}  // namespace

void write_files(const Record& record, const Folder& folder, const fs::path& root, const HostFiles& host) {
  os::make_dirs(folder.path, 0700);
  for (const fs::path& dir : {folder.keys(), folder.run(), folder.log(), folder.layers()}) {
    os::make_dirs(dir, 0700);
  }
  if (record.model.empty()) {
    seed_home(record, folder, root);
  }
  std::error_code none;
  if (record.jupyter && !fs::exists(folder.keys() / "jupyter_token", none)) {
    os::write_file(folder.keys() / "jupyter_token", random_token() + "\n", 0600);
  }
  if (record.ssh) {
    write_ssh(record, folder, host);
  } else {
    remove_if_any(folder.keys() / "authorized_keys");
  }
  if (record.outbound) {
    write_pip(folder, host);
  }
}

void set_password(const Folder& folder, std::string_view password) {
  const fs::path file = folder.keys() / "jupyter_password";
  if (password.empty()) {
    remove_if_any(file);
    return;
  }
  os::write_file(file, hash_password(password) + "\n", 0600);
}

}  // namespace slip::workspace
