#pragma once

#include <string>
#include <vector>

#include "launch/setup.h"

/// The process around an OCI runtime: pid 1 of a PID namespace and in a mount namespace of its own, so that when it
/// dies, as it does with the launcher, the container is gone and nothing stays mounted. It lays out what a bundle needs
/// below one folder in memory, has the runtime make and start the container, waits for its end and has the runtime
/// clean up. The rules of setup.h hold.
namespace slip::launch {

/// Where the runtime sees the bundle: this folder is covered in our mount namespace.
inline constexpr const char* kBundleBase = "/run";

/// A command line and its environment, ready for execve().
struct ReadyCommand {
  std::vector<std::string> text;
  std::vector<char*> argv;
};

/// Where the place of a mount is made before the runtime looks for it, so that it belongs to the user inside.
struct MountPlace {
  static constexpr int kRoot = -1;
  static constexpr int kRuntime = -2;  ///< on a file system that the runtime mounts first: its matter
  int parent = kRoot;                  ///< or the number of the mount that it lies in
  std::string path;                    ///< relative to the parent
  unsigned mode = 0;  ///< not 0: it gets this one; runc gives file systems in memory the mode of the folder below
};

struct RuntimeSetup {
  /// Layers, binds, streams and wires as for the native launcher; `filter` is what the runtime runs under.
  Setup inner;
  std::string config;               ///< config.json
  std::vector<MountPlace> places;   ///< of inner.writable, then of inner.binds
  std::vector<MountPlace> folders;  ///< other folders that must be there: of proc, tmp, the working folder, …
  bool own_namespace = false;       ///< in a user namespace, as its root; false: as root of the host
  std::uint32_t owner_uid = 0;      ///< of what is made here, as we see it
  std::uint32_t owner_gid = 0;
  ReadyCommand create;
  ReadyCommand start;
  ReadyCommand remove;
  std::vector<char*> env;
};

/// The process's whole life.
[[noreturn]] void run_runtime(RuntimeSetup& setup) noexcept;

}  // namespace slip::launch
