#pragma once

#include <filesystem>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "codec/tar.h"
#include "core/events.h"
#include "launch/native.h"
#include "launch/plan.h"

namespace slip::launch {

/// A build step: runs as (emulated) root inside, no network unless asked, changes land in an upper folder.
struct SandboxRun {
  os::ExitStatus status;
  std::string output;  ///< both streams, the last 64 KiB
};

/// One overlay over `lower` in which several commands run one after another; what they changed is read back
/// with capture(). Ownership is emulated by seccomp user notification, so an ordinary user's sandbox records the
/// same owners as root's would; the bytes are the same for everybody.
/// @source overlayfs.rst "whiteouts and opaque directories"; seccomp_unotify(2); docs/develop/deb.md
class Sandbox {
 public:
  struct Options {
    std::filesystem::path lower;    ///< merged root
    std::filesystem::path scratch;  ///< a private folder of ours; upper and work are made in it
    HostId id;
    std::vector<Mount> mounts;  ///< extra binds
    Network network = Network::None;
    std::int64_t epoch = 0;         ///< SOURCE_DATE_EPOCH inside, and clamp of captured times
    bool emulate_ownership = true;  ///< false: plain single-id root (tools that change no owner); cheaper
  };
  explicit Sandbox(Options options, Events& events);
  ~Sandbox();
  Sandbox(const Sandbox&) = delete;
  Sandbox& operator=(const Sandbox&) = delete;

  /// Runs argv as root inside; the environment is exactly `env` plus the fixed build environment
  /// (PATH, HOME=/root, LC_ALL=C.UTF-8, SOURCE_DATE_EPOCH, PYTHONHASHSEED=0), `input` is its stdin.
  SandboxRun run(const std::vector<std::string>& argv, const std::map<std::string, std::string>& env = {},
                 const std::string& cwd = "/", std::string_view input = {});

  /// Where a path that is new or changed lies on the host (upper), or in lower; for reading results.
  [[nodiscard]] std::filesystem::path host_path(const std::string& inner) const;

  /// One changed path.
  struct Change {
    enum class Kind { Written, Removed, Replaced };  ///< Replaced: a folder that hides the lower one
    Kind kind = Kind::Written;
    codec::TarEntry entry;          ///< emulated owner and mode; mtime clamped to epoch
    std::filesystem::path content;  ///< host file of a Regular entry
  };
  /// Everything that differs from lower, sorted by path (bytewise); nothing from /proc, /sys, /dev, /run, /tmp or
  /// mounts.
  [[nodiscard]] std::vector<Change> capture() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace slip::launch
