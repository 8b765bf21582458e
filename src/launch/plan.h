#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

namespace slip::launch {

/// What whoever launches passes on when the command itself cannot be run, as shells do.
inline constexpr int kNotRunnable = 126;
inline constexpr int kNotThere = 127;

/// Ids inside the namespace and on the host must never be mixed up.
enum class InnerId : std::uint32_t {};
enum class OuterId : std::uint32_t {};

/// A folder or file of the host made visible inside.
struct Mount {
  std::filesystem::path source;  ///< absolute host path; must exist
  std::string target;            ///< absolute path inside; made on the writable layer when missing
  bool read_only = true;
  bool operator==(const Mount&) const = default;
};

/// A file of the host's system that is shown inside as it is, its owner too: a device node, which alone of all files
/// inside may be opened as one, or a driver's library, read-only.
struct HostFile {
  std::filesystem::path source;  ///< absolute host path; must exist
  std::string target;            ///< absolute path inside
  bool device = false;
  bool operator==(const HostFile&) const = default;
};

/// Limits; absent means none. What the host's cgroups cannot enforce is reported, not refused.
struct Limits {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> cpus;
  std::optional<std::uint64_t> pids;
  std::optional<std::uint64_t> shm_bytes;  ///< size of /dev/shm; absent: half of RAM or the memory limit, the smaller
  bool operator==(const Limits&) const = default;
};

enum class Network : std::uint8_t {
  None,  ///< own network namespace with only lo
  Host,  ///< the host's (build tools that must reach an index)
};

/// Which system calls are refused inside.
enum class Filter : std::uint8_t {
  Workspace,  ///< the profile of workspaces and `run`
  Build,      ///< maintainer scripts and build steps: as Workspace, but ownership calls are emulated
};

/// One way to start a process tree: a value, printable, performed by the native launcher or by an OCI runtime.
/// Nothing in it is relative or depends on the environment of who performs it.
struct LaunchPlan {
  std::string name;                   ///< for messages and cgroups: "tf29-dev"
  std::filesystem::path root;         ///< merged root of the image: the one overlay lower
  std::filesystem::path upper;        ///< overlay upper dir; empty: a tmpfs that is gone afterwards
  std::filesystem::path work;         ///< overlay work dir beside upper; empty with an empty upper
  bool writable_root = false;         ///< false: everything but home, /tmp, /run, mounts and `writable` is read-only
  std::vector<std::string> writable;  ///< folders of the image that can be written to, on the writable layer
  std::vector<std::string> argv;
  std::map<std::string, std::string> env;  ///< the whole environment inside
  std::string cwd = "/";
  InnerId uid{1000};
  InnerId gid{1000};
  std::string home;                   ///< writable home inside; empty: none
  std::filesystem::path home_source;  ///< host folder bound there; empty: on a tmpfs seeded from the image
  std::string hostname = "localhost";
  std::vector<Mount> mounts;
  std::vector<HostFile> host_files;
  Limits limits;
  Network network = Network::None;
  Filter filter = Filter::Workspace;
  bool new_session = false;  ///< setsid: no controlling terminal (builds)
  bool direct = false;  ///< argv is exec'ed as pid 1 (the image's own init); false: a small reaper of ours is pid 1
  bool operator==(const LaunchPlan&) const = default;
};

/// Canonical JSON for `--plan`; secrets never stand in a plan (they are files).
std::string to_json(const LaunchPlan& plan);

}  // namespace slip::launch
