// What the kernel and the files of a workspace say about it.
#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/text.h"
#include "workspace/audit.h"
#include "workspace/monitor.h"

namespace slip::workspace {
namespace {

namespace fs = std::filesystem;

constexpr std::uint64_t kMaxLog = 64u << 20;

/// "0100007F:22B8" → 127.0.0.1 and 8888; the kernel writes words of an address in the host's byte order.
std::optional<Listener> parse_address(std::string_view text) {
  const std::size_t colon = text.rfind(':');
  const std::string_view hex = text.substr(0, colon);
  if (colon == std::string_view::npos || (hex.size() != 8 && hex.size() != 32)) {
    return std::nullopt;
  }
  Listener listener;
  unsigned port = 0;
  std::from_chars(text.data() + colon + 1, text.data() + text.size(), port, 16);
  listener.port = static_cast<std::uint16_t>(port);
  std::vector<unsigned> bytes;
  for (std::size_t word = 0; word < hex.size(); word += 8) {
    for (std::size_t byte = 4; byte-- > 0;) {
      unsigned value = 0;
      std::from_chars(hex.data() + word + byte * 2, hex.data() + word + byte * 2 + 2, value, 16);
      bytes.push_back(value);
    }
  }
  if (bytes.size() == 4) {
    listener.address = format("{}.{}.{}.{}", bytes[0], bytes[1], bytes[2], bytes[3]);
  } else if (std::all_of(bytes.begin(), bytes.end(), [](unsigned b) { return b == 0; })) {
    listener.address = "::";
  } else if (std::all_of(bytes.begin(), bytes.end() - 1, [](unsigned b) { return b == 0; }) && bytes.back() == 1) {
    listener.address = "::1";
  } else {
    for (std::size_t i = 0; i < bytes.size(); i += 2) {
      listener.address += (i == 0 ? "" : ":") + format("{:x}", bytes[i] * 256 + bytes[i + 1]);
    }
  }
  return listener;
}

fs::path proc_of(int pid) { return format("/proc/{}", pid); }

std::string read_or_empty(const fs::path& path, std::uint64_t limit = 8u << 20) {
  try {
    return os::read_file_if_any(path, limit).value_or("");
  } catch (const Error&) {
    return {};  // it has ended, or is nobody's business
  }
}

std::string link_of(const fs::path& path) {
  std::error_code none;
  const fs::path target = fs::read_symlink(path, none);
  return none ? std::string() : target.string();
}

/// All processes of the host by parent.
std::vector<int> all_pids() {
  std::vector<int> pids;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator("/proc", none)) {
    const std::string name = entry.path().filename().string();
    int pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ptr == name.data() + name.size() && pid > 0) {
      pids.push_back(pid);
    }
  }
  std::sort(pids.begin(), pids.end());
  return pids;
}

ProcessEvidence look_at(int pid) {
  ProcessEvidence process;
  process.pid = pid;
  process.status = parse_status(read_or_empty(proc_of(pid) / "status"));
  process.name = process.status["Name"];
  return process;
}

struct Needle {
  std::string what;
  std::string text;
};

/// What must stand nowhere but in its file: a token whole, of a key a line of its body.
std::vector<Needle> needles_of(const Folder& folder) {
  std::vector<Needle> needles;
  const auto add = [&](const char* what, const fs::path& path) {
    std::string longest;
    const std::string text = read_or_empty(path);
    for (const std::string_view line : split(text, '\n')) {
      const bool frame = line.starts_with("-----") || line.size() < 16;
      // The first lines of every OpenSSH key are alike; its last full line is secret.
      if (!frame && line.size() >= longest.size()) {
        longest = line;
      }
    }
    if (!longest.empty()) {
      needles.push_back({what, longest});
    }
  };
  add("the token of Jupyter", folder.keys() / "jupyter_token");
  add("the password hash of Jupyter", folder.keys() / "jupyter_password");
  add("SSH's host key", folder.keys() / "ssh_host_ed25519_key");
  add("the client key", folder.client_key());
  return needles;
}

void find_leaks(const std::vector<Needle>& needles, std::string_view text, const std::string& place,
                std::vector<std::string>& leaks) {
  for (const Needle& needle : needles) {
    if (text.find(needle.text) != std::string_view::npos) {
      leaks.push_back(needle.what + " in " + place);
    }
  }
}

void search_logs(const std::vector<Needle>& needles, const Folder& folder, std::vector<std::string>& leaks) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder.log(), none)) {
    find_leaks(needles, read_or_empty(entry.path(), kMaxLog), "log/" + entry.path().filename().string(), leaks);
  }
}

std::vector<int> below(int pid, const std::vector<int>& pids) {
  std::vector<int> family = {pid};
  for (std::size_t i = 0; i < family.size(); ++i) {
    for (const int candidate : pids) {
      const auto status = parse_status(read_or_empty(proc_of(candidate) / "status"));
      const auto parent = status.find("PPid");
      if (parent != status.end() && parent->second == std::to_string(family[i])) {
        family.push_back(candidate);
      }
    }
  }
  return family;
}

std::vector<Listener> host_listeners(const std::vector<int>& family) {
  std::map<std::uint64_t, Listener> open;
  for (const char* file : {"/proc/self/net/tcp", "/proc/self/net/tcp6"}) {
    open.merge(parse_listeners(read_or_empty(file)));
  }
  std::vector<Listener> listeners;
  for (const int pid : family) {
    std::error_code none;
    for (const auto& fd : fs::directory_iterator(proc_of(pid) / "fd", none)) {
      const std::string target = link_of(fd.path());
      std::uint64_t inode = 0;
      if (target.starts_with("socket:[")) {
        std::from_chars(target.data() + 8, target.data() + target.size(), inode);
      }
      const auto at = open.find(inode);
      if (at != open.end() && std::find(listeners.begin(), listeners.end(), at->second) == listeners.end()) {
        listeners.push_back(at->second);
      }
    }
  }
  return listeners;
}

void find_devices(const fs::path& folder, const std::string& name, std::vector<std::string>& devices) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder, none)) {
    struct stat st{};
    const std::string path = name + "/" + entry.path().filename().string();
    if (::lstat(entry.path().c_str(), &st) != 0) {
      continue;
    }
    if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode)) {
      devices.push_back(path);
    } else if (S_ISDIR(st.st_mode) && path != "/dev/pts" && path != "/dev/shm") {
      find_devices(entry.path(), path, devices);
    }
  }
  std::sort(devices.begin(), devices.end());
}

std::map<std::string, std::string> parse_limits(std::string_view text) {
  std::map<std::string, std::string> limits;
  constexpr std::size_t kName = 26;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line.substr(std::min(kName, line.size())));
    if (words.size() >= 2) {
      limits[std::string(trim(line.substr(0, kName)))] = words[1];
    }
  }
  return limits;
}

std::vector<std::string> interfaces_in(std::string_view net_dev) {
  std::vector<std::string> names;
  for (const std::string_view line : split(net_dev, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      names.emplace_back(trim(line.substr(0, colon)));
    }
  }
  return names;
}

std::map<std::string, std::string> cgroup_values(const std::vector<std::string>& groups) {
  struct Value {
    const char* limit;
    const char* file;
  };
  constexpr Value kValues[] = {{"memory", "memory.max"},
                               {"memory", "memory.limit_in_bytes"},
                               {"cpus", "cpu.max"},
                               {"cpus", "cpu.cfs_quota_us"},
                               {"pids", "pids.max"}};
  std::map<std::string, std::string> values;
  for (const std::string& group : groups) {
    for (const Value& value : kValues) {
      const std::string text = read_or_empty(fs::path(group) / value.file);
      if (!text.empty()) {
        values[value.limit] = trim(text);
      }
    }
  }
  return values;
}

void note_modes(const Folder& folder, std::map<std::string, unsigned>& modes) {
  const auto note = [&](const fs::path& path) {
    struct stat st{};
    if (::lstat(path.c_str(), &st) == 0) {
      modes[path.string()] = st.st_mode & 07777U;
    }
  };
  for (const fs::path& path : {folder.path, folder.keys(), folder.log(), folder.run(), folder.client_key(),
                               folder.record(), folder.keys() / "jupyter_token", folder.keys() / "jupyter_password",
                               folder.keys() / "ssh_host_ed25519_key", folder.keys() / "pip.conf"}) {
    note(path);
  }
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(folder.log(), none)) {
    note(entry.path());
  }
}

bool publishes_host_key(const Folder& folder) {
  const std::string text = read_or_empty(folder.keys() / "ssh_host_ed25519_key.pub");
  const auto words = split_words(text);
  return words.size() >= 2 && read_or_empty(folder.known_hosts()).find(words[1]) != std::string::npos;
}

}  // namespace

std::map<std::uint64_t, Listener> parse_listeners(std::string_view text) {
  constexpr std::size_t kLocal = 1;
  constexpr std::size_t kState = 3;
  constexpr std::size_t kInode = 9;
  std::map<std::uint64_t, Listener> open;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line);
    if (words.size() <= kInode || words[kState] != "0A") {
      continue;
    }
    std::uint64_t inode = 0;
    std::from_chars(words[kInode].data(), words[kInode].data() + words[kInode].size(), inode);
    if (const auto listener = parse_address(words[kLocal])) {
      open[inode] = *listener;
    }
  }
  return open;
}

std::map<std::string, std::string> parse_status(std::string_view text) {
  std::map<std::string, std::string> fields;
  for (const std::string_view line : split(text, '\n')) {
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
      fields[std::string(line.substr(0, colon))] = trim(line.substr(colon + 1));
    }
  }
  return fields;
}

Evidence gather(const View& view, const Folder& folder, const fs::path& root) {
  const auto status = load_status(folder);
  if (view.init == 0 || !status) {
    throw Error(ErrorKind::Conflict, "workspace `{}` does not run", view.record.name)
        .add_hint(format("run `slipway up` first; `slipway audit {}` looks at its image alone", view.record.image));
  }
  const fs::path init = proc_of(view.init);
  Evidence e;
  e.record = view.record;
  e.unmet = view.unmet;
  e.mountinfo = read_or_empty(init / "mountinfo");
  e.uid_map = read_or_empty(init / "uid_map");
  e.limits = parse_limits(read_or_empty(init / "limits"));
  e.interfaces = interfaces_in(read_or_empty(init / "net/dev"));
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt", "cgroup"}) {
    const std::string inside = link_of(init / "ns" / kind);
    e.own_namespace[kind] = !inside.empty() && inside != link_of(fs::path("/proc/self/ns") / kind);
  }
  const std::vector<int> pids = all_pids();
  const std::vector<Needle> needles = needles_of(folder);
  const std::string space = link_of(init / "ns/pid");
  e.processes.push_back(look_at(view.init));
  for (const int pid : pids) {
    const bool inside = !space.empty() && link_of(proc_of(pid) / "ns/pid") == space;
    if (inside && pid != view.init) {
      e.processes.push_back(look_at(pid));
    }
    if (inside || pid == status->monitor) {
      const std::string who = format("process {} ({})", pid, look_at(pid).name);
      find_leaks(needles, read_or_empty(proc_of(pid) / "cmdline"), "the command line of " + who, e.leaks);
      find_leaks(needles, read_or_empty(proc_of(pid) / "environ"), "the environment of " + who, e.leaks);
    }
  }
  search_logs(needles, folder, e.leaks);
  e.host_listeners = host_listeners(below(status->monitor, pids));
  find_devices(init / "root/dev", "/dev", e.devices);
  for (const char* socket : {"/run/docker.sock", "/var/run/docker.sock", "/run/containerd/containerd.sock",
                             "/run/podman/podman.sock", "/run/crio/crio.sock"}) {
    std::error_code none;
    if (fs::exists(init / ("root" + std::string(socket)), none)) {
      e.engine_sockets.emplace_back(socket);
    }
  }
  e.cgroup_values = cgroup_values(status->cgroups);
  note_modes(folder, e.modes);
  e.token_length = trim(read_or_empty(folder.keys() / "jupyter_token")).size();
  e.password_hash = trim(read_or_empty(folder.keys() / "jupyter_password"));
  e.host_key_published = publishes_host_key(folder);
  e.services = read_or_empty(root / "etc/slipway/services.json");
  return e;
}

}  // namespace slip::workspace
