#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "core/finding.h"
#include "workspace/inspect.h"

/// Checks a running workspace against the security list: from what the kernel says of its processes, not from what was
/// asked for. Gathering and judging are apart, so that tests can judge evidence that is bad on purpose.
/// @source CIS Docker Benchmark 1.6 (C5…), practice of Jupyter (JS…) and OpenSSH (SSH…)
namespace slip::workspace {

/// One process inside, as /proc shows it.
struct ProcessEvidence {
  int pid = 0;                                ///< of the host
  std::string name;                           ///< "jupyter-lab"
  std::map<std::string, std::string> status;  ///< /proc/PID/status: "CapEff" → "0000000000000000"
};

/// An address that is listened on.
struct Listener {
  std::string address;  ///< "127.0.0.1", "0.0.0.0", "::"
  std::uint16_t port = 0;
  bool operator==(const Listener&) const = default;
};

/// What was found out about a running workspace.
struct Evidence {
  Record record;
  std::vector<ProcessEvidence> processes;  ///< slipway-init first
  std::string mountinfo;                   ///< of slipway-init
  std::string uid_map;
  std::map<std::string, std::string> limits;  ///< "Max open files" → hard limit
  std::map<std::string, bool> own_namespace;  ///< "pid" → differs from the host's
  std::vector<std::string> interfaces;        ///< inside: "lo"
  std::vector<Listener> host_listeners;       ///< of the monitor and its helpers, on the host
  std::vector<std::string> devices;           ///< device nodes below /dev inside
  std::vector<std::string> engine_sockets;    ///< "/run/docker.sock" and the like that exist inside
  std::map<std::string, std::string>
      cgroup_values;                      ///< "memory" → what the kernel enforces, where a group of ours exists
  std::vector<std::string> unmet;         ///< limits the host does not enforce, with the reason
  std::map<std::string, unsigned> modes;  ///< of files that hold secrets and the folders above them
  std::vector<std::string> leaks;         ///< "the token of Jupyter in the command line of process 12 (sh)"
  std::size_t token_length = 0;           ///< of Jupyter's token; 0: none
  std::string password_hash;              ///< empty: none is set
  bool host_key_published = false;        ///< known_hosts has the host key
  std::string services;                   ///< /etc/slipway/services.json of the image
};

/// Looks at a workspace that runs. @param root  the image's merged root
/// @throws Error Conflict when it does not run; Denied
Evidence gather(const View& view, const Folder& folder, const std::filesystem::path& root);

/// All checks, in a fixed order. Pure.
std::vector<Finding> judge(const Evidence& evidence);

// Inside of gather(); here for tests.
/// Sockets in state LISTEN of /proc/PID/net/tcp or tcp6: inode → address.
/// @source proc(5) "/proc/net/tcp"
std::map<std::uint64_t, Listener> parse_listeners(std::string_view text);
/// /proc/PID/status: "CapEff" → "0000000000000000".
std::map<std::string, std::string> parse_status(std::string_view text);

}  // namespace slip::workspace
