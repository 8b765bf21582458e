#include "workspace/audit.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/count.h"
#include "core/text.h"

namespace slip::workspace {
namespace {

using Texts = std::vector<std::string>;

Finding verdict(const char* id, const char* title, const Texts& bad, std::string found, const char* wanted,
                const char* hint) {
  if (bad.empty()) {
    return fine(id, title, std::move(found));
  }
  const Texts first(bad.begin(), bad.begin() + static_cast<std::ptrdiff_t>(std::min<std::size_t>(bad.size(), 4)));
  return amiss(id, title, join(first, ", ") + (bad.size() > 4 ? format(" and {} more", bad.size() - 4) : ""), wanted,
               hint);
}

/// Processes whose status does not say what it should.
template <class Good>
Texts processes_without(const Evidence& e, const char* field, Good good) {
  Texts bad;
  for (const ProcessEvidence& process : e.processes) {
    const auto at = process.status.find(field);
    const std::string value = at == process.status.end() ? "unknown" : at->second;
    if (!good(value)) {
      bad.push_back(format("{} {} of process {} ({})", field, value, process.pid, printable(process.name)));
    }
  }
  return bad;
}

bool is_zero(const std::string& mask) { return !mask.empty() && mask.find_first_not_of('0') == std::string::npos; }

std::vector<Finding> judge_processes(const Evidence& e) {
  const std::string number = format("{} inside", e.processes.size());
  Texts capable;
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    for (std::string& bad : processes_without(e, set, is_zero)) {
      capable.push_back(std::move(bad));
    }
  }
  const Texts unfiltered = processes_without(e, "Seccomp", [](const std::string& v) { return v == "2"; });
  const Texts privileged = processes_without(e, "NoNewPrivs", [](const std::string& v) { return v == "1"; });
  const Texts root = processes_without(e, "Uid", [](const std::string& v) {
    const auto ids = split_words(v);
    return !ids.empty() && std::none_of(ids.begin(), ids.end(), [](std::string_view id) { return id == "0"; });
  });
  return {verdict("C5.4", "no process has a capability", capable, number, "all five sets empty",
                  "start the workspace anew with `slipway restart`; if it comes back, report it"),
          verdict("C5.22", "a system-call filter is on every process", unfiltered, number, "Seccomp 2",
                  "start the workspace anew"),
          verdict("C5.26", "no process can gain rights by starting another", privileged, number, "NoNewPrivs 1",
                  "start the workspace anew"),
          verdict("C5.23", "nothing inside is root on the host", root, number, "a user id above 0",
                  "start the workspace anew")};
}

std::vector<Finding> judge_namespaces(const Evidence& e) {
  struct Kind {
    const char* id;
    const char* name;
    const char* title;
  };
  constexpr Kind kKinds[] = {{"C5.10", "net", "its own network"},
                             {"C5.16", "pid", "its own process ids"},
                             {"C5.17", "ipc", "its own shared memory"},
                             {"C5.21", "uts", "its own host name"},
                             {"C5.31", "user", "its own user ids"}};
  std::vector<Finding> findings;
  for (const Kind& kind : kKinds) {
    const auto at = e.own_namespace.find(kind.name);
    const bool own = at != e.own_namespace.end() && at->second;
    findings.push_back(
        own ? fine(kind.id, kind.title, format("own {} namespace", kind.name))
            : amiss(kind.id, kind.title, "the host's", "a namespace of its own", "start the workspace anew"));
  }
  Texts bridges;
  for (const std::string& name : e.interfaces) {
    if (name != "lo") {
      bridges.push_back(name);
    }
  }
  findings.push_back(verdict("C5.30", "no bridge or tunnel into its network", bridges, "lo alone", "lo alone",
                             "remove the interface: slipway makes none"));
  const auto words = split_words(e.uid_map);
  const auto is_single = [&](std::size_t line) { return words[line * 3 + 1] != "0" && words[line * 3 + 2] == "1"; };
  // runc's first process is root inside, as a second id that the workspace never is.
  const bool single = (words.size() == 3 && is_single(0)) ||
                      (words.size() == 6 && words[0] == "0" && is_single(0) && is_single(1) && words[1] != words[4]);
  findings.push_back(single ? fine("C5.5", "one single user id is mapped, never root's",
                                   std::string(words[words.size() - 2]))
                            : amiss("C5.5", "one single user id is mapped, never root's", std::string(trim(e.uid_map)),
                                    "one line of length 1", "start the workspace anew"));
  return findings;
}

/// A line of mountinfo.
struct MountLine {
  std::string point;
  std::vector<std::string_view> options;
  bool shared = false;
  std::string type;
};

/// @source proc(5) "/proc/pid/mountinfo"
std::vector<MountLine> parse_mounts(std::string_view text) {
  std::vector<MountLine> mounts;
  for (const std::string_view line : split(text, '\n')) {
    const auto words = split_words(line);
    const auto dash = std::find(words.begin(), words.end(), "-");
    if (words.size() < 6 || dash == words.end() || dash + 1 == words.end()) {
      continue;
    }
    MountLine mount{std::string(words[4]), split(words[5], ','), false, std::string(dash[1])};
    for (auto word = words.begin() + 6; word != dash; ++word) {
      mount.shared = mount.shared || word->starts_with("shared:");
    }
    mounts.push_back(std::move(mount));
  }
  return mounts;
}

bool has(const MountLine& mount, std::string_view option) {
  return std::find(mount.options.begin(), mount.options.end(), option) != mount.options.end();
}

std::vector<Finding> judge_mounts(const Evidence& e) {
  const std::vector<MountLine> mounts = parse_mounts(e.mountinfo);
  Texts writable;
  Texts rights;
  Texts shared;
  bool keys_locked = false;
  for (const MountLine& mount : mounts) {
    if (mount.point == "/" && !has(mount, "ro")) {
      writable.emplace_back("/ is writable");
    }
    keys_locked = keys_locked || (mount.point == "/run/slipway/keys" && has(mount, "ro"));
    const bool device = mount.type == "devtmpfs";  // /dev/null and its like, and masks over files of /proc
    const bool dev = mount.point == "/dev" || mount.point.starts_with("/dev/pts");
    // How OCI runtimes hide and freeze kernel files: nothing can be put there, and the kernel's own have no such bits.
    const bool frozen = has(mount, "ro") && (mount.point.starts_with("/proc/") || mount.point.starts_with("/sys/")) &&
                        (mount.type == "proc" || mount.type == "sysfs" || mount.type == "tmpfs");
    if (!device && !frozen && (!has(mount, "nosuid") || (!dev && !has(mount, "nodev")))) {
      rights.push_back(printable(mount.point));
    }
    if (mount.shared) {
      shared.push_back(printable(mount.point));
    }
  }
  if (mounts.empty()) {
    writable.emplace_back("its mounts cannot be read");
  }
  std::vector<Finding> findings = {
      verdict("C5.13", "the system is read-only", writable, "/ is ro", "ro", "start the workspace anew"),
      verdict("C4.8", "no mount honours setuid bits or device nodes", rights, counted(mounts.size(), "mount"),
              "nosuid, nodev", "start the workspace anew"),
      verdict("C5.20", "no mount passes changes back to the host", shared, counted(mounts.size(), "mount"),
              "private or slave", "start the workspace anew")};
  if (e.record.ssh || e.record.jupyter) {
    findings.push_back(keys_locked ? fine("SSH5", "its keys cannot be changed from inside", "/run/slipway/keys is ro")
                                   : amiss("SSH5", "its keys cannot be changed from inside", "writable",
                                           "a read-only mount", "start the workspace anew"));
  }
  return findings;
}

bool is_sensitive(const std::filesystem::path& source) {
  constexpr const char* kDenied[] = {"/",    "/etc", "/proc", "/sys",     "/dev", "/boot",
                                     "/usr", "/lib", "/root", "/var/run", "/run", "/var/lib/docker"};
  std::error_code none;
  const std::filesystem::path real = std::filesystem::weakly_canonical(source, none);
  return std::any_of(std::begin(kDenied), std::end(kDenied),
                     [&](const char* path) { return real == path || real == std::filesystem::path(path) / ""; });
}

std::vector<Finding> judge_host(const Evidence& e) {
  Texts folders;
  for (const launch::Mount& mount : e.record.mounts) {
    if (is_sensitive(mount.source)) {
      folders.push_back(mount.source.string());
    }
  }
  Texts devices;
  constexpr const char* kPlain[] = {"/dev/full", "/dev/null",    "/dev/random", "/dev/tty",
                                    "/dev/zero", "/dev/urandom", "/dev/console"};
  for (const std::string& device : e.devices) {
    const bool plain = std::any_of(std::begin(kPlain), std::end(kPlain), [&](const char* p) { return device == p; });
    if (!plain && !device.starts_with("/dev/nvidia") && !device.starts_with("/dev/dri/")) {
      devices.push_back(device);
    }
  }
  Texts open;
  Texts low;
  std::string found;
  for (const Listener& listener : e.host_listeners) {
    const std::string text = format("{}:{}", listener.address, listener.port);
    found += (found.empty() ? "" : ", ") + text;
    if (!listener.address.starts_with("127.") && listener.address != "::1") {
      open.push_back(text);
    }
    if (listener.port < 1024) {
      low.push_back(text);
    }
  }
  return {verdict("C5.6", "no sensitive folder of the host is mounted", folders,
                  counted(e.record.mounts.size(), "mount") + " of its own", "project and data folders",
                  "mount a folder below it"),
          verdict("C5.32", "no container engine can be reached from inside", e.engine_sockets, "no socket", "no socket",
                  "take the mount out"),
          verdict("C5.18", "no device of the host but harmless ones", devices, counted(e.devices.size(), "node"),
                  "null, zero, full, random, urandom, tty, and GPUs that were asked for", "take the device out"),
          verdict("C5.14", "it listens on the host's loopback only", open, found.empty() ? "nothing" : found,
                  "127.0.0.1", "stop what listens there"),
          verdict("C5.8", "its ports on the host need no privilege", low, found.empty() ? "none" : found,
                  "ports from 1024 on", "choose other ports with `slipway up --port`")};
}

Finding judge_limit(const Evidence& e, const char* id, const char* name, const char* title, bool asked) {
  if (!asked) {
    return excepted(id, title, "none asked for", "a limit",
                    format("the host's own limits hold; set one with `resources: {{{}: …}}` in slipway.yaml", name));
  }
  const auto at = e.cgroup_values.find(name);
  if (at != e.cgroup_values.end() && at->second != "max" && at->second != "-1" && !at->second.starts_with("max ")) {
    return fine(id, title, at->second);
  }
  return excepted(id, title, "not enforced", "a limit in a cgroup",
                  e.unmet.empty() ? "this host lets slipway make no cgroup" : join(e.unmet, "; "));
}

std::vector<Finding> judge_limits(const Evidence& e) {
  const launch::Limits& limits = e.record.limits;
  std::vector<Finding> findings = {
      judge_limit(e, "C5.11", "memory", "its memory is limited", limits.memory_bytes.has_value()),
      judge_limit(e, "C5.12", "cpus", "its CPUs are limited", limits.cpus.has_value()),
      judge_limit(e, "C5.29", "pids", "the number of its processes is limited", limits.pids.has_value())};
  const auto files = e.limits.find("Max open files");
  const std::string number = files == e.limits.end() ? "unknown" : files->second;
  findings.push_back(number != "unlimited" && number != "unknown"
                         ? fine("C5.19", "the number of open files is bounded", number)
                         : amiss("C5.19", "the number of open files is bounded", number, "a number",
                                 "set a hard limit with `ulimit -Hn`"));
  return findings;
}

Finding judge_restarts(const Evidence& e) {
  const std::string title = "a service that keeps failing is given up";
  const auto json = nlohmann::json::parse(e.services, nullptr, false);
  if (e.services.empty()) {
    return fine("C5.15", title, "no services");
  }
  Texts bad;
  if (json.is_object() && json.contains("services")) {
    for (const auto& service : json.at("services")) {
      const auto restart = service.value("restart", nlohmann::json::object());
      if (restart.is_object() && restart.value("max", 5) > 5) {
        bad.push_back(service.value("name", std::string("?")) + ": " + std::to_string(restart.value("max", 5)));
      }
    }
  } else {
    bad.emplace_back("services.json cannot be read");
  }
  return verdict("C5.15", title.c_str(), bad, "at most 5 restarts a minute", "at most 5", "lower restart.max");
}

std::vector<Finding> judge_secrets(const Evidence& e) {
  Texts modes;
  for (const auto& [path, mode] : e.modes) {
    if ((mode & 0077U) != 0) {
      modes.push_back(format("{} is {:04o}", printable(path), mode));
    }
  }
  std::vector<Finding> findings = {
      verdict("C4.10", "files with secrets belong to you alone", modes,
              counted(e.modes.size(), "file") + " and folders", "no rights for group and others",
              "run `chmod go=` on them, then `slipway restart`"),
      verdict("JS2", "no token and no key in a command line, environment or log", e.leaks, "none", "none",
              "take it out of there and change it: remove the file in keys/ and run `slipway up`")};
  if (e.record.jupyter) {
    constexpr std::size_t kToken = 32;
    const std::string title = "Jupyter asks for a long random token";
    findings.push_back(e.token_length >= kToken
                           ? fine("JS1", title, format("{} digits", e.token_length))
                           : amiss("JS1", title, e.token_length == 0 ? "none" : format("{} digits", e.token_length),
                                   "32 digits or more", "remove keys/jupyter_token and run `slipway up`"));
    const std::string hashed = "a password is kept as an argon2id hash";
    const bool good = e.password_hash.empty() || e.password_hash.starts_with("argon2:$argon2id$");
    findings.push_back(good ? fine("JS3", hashed, e.password_hash.empty() ? "no password is set" : "argon2id")
                            : amiss("JS3", hashed, "another form", "argon2id", "set it with `slipway passwd`"));
  }
  if (e.record.ssh) {
    const std::string title = "its SSH host key is known to clients";
    findings.push_back(e.host_key_published ? fine("SSH2", title, "in known_hosts")
                                            : amiss("SSH2", title, "not in known_hosts", "the key in known_hosts",
                                                    "run `slipway up` again"));
    findings.push_back(excepted("C5.7", "no SSH server in a container", "sshd of the workspace", "none",
                                "editors and rsync need it: keys only, without capabilities, on loopback"));
  }
  return findings;
}

}  // namespace

std::vector<Finding> judge(const Evidence& evidence) {
  std::vector<Finding> all;
  for (std::vector<Finding> part :
       {judge_processes(evidence), judge_namespaces(evidence), judge_mounts(evidence), judge_host(evidence),
        judge_limits(evidence), std::vector<Finding>{judge_restarts(evidence)}, judge_secrets(evidence)}) {
    std::move(part.begin(), part.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace slip::workspace
