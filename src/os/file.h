#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "core/bytes.h"
#include "os/fd.h"

/// Files on the host. Everything durable goes through here: temp name + fsync + rename, so that a kill at any
/// instruction leaves the old state or the new one.
namespace slip::os {

namespace fs = std::filesystem;

/// Whole file, at most `limit` bytes. @throws Error NotFound, Denied, Invalid (too large)
std::string read_file(const fs::path& path, std::uint64_t limit = 256u << 20);
/// As read_file(), nullopt when there is no such file.
std::optional<std::string> read_file_if_any(const fs::path& path, std::uint64_t limit = 256u << 20);
/// Replaces `path` atomically and durably. `mode` is exact, whatever the umask.
void write_file(const fs::path& path, std::string_view text, unsigned mode = 0644);

/// mkdir -p; new folders get `mode` exactly.
void make_dirs(const fs::path& path, unsigned mode = 0755);
/// Removes a tree whatever the modes inside; nothing there is not an error; never follows links.
void remove_tree(const fs::path& path);
Fd open_read(const fs::path& path);
Fd open_dir(const fs::path& path);
std::uint64_t file_size(const Fd& fd, const std::string& name);

/// fsync, rename and unlink of durable state pass through these four, so that a test can end the process before
/// the n-th of them: SLIPWAY_TEST_KILL_AT=n sends SIGKILL to ourselves before step n (1-based, counted per process).
void durable_sync(const Fd& fd, const std::string& name);
void durable_rename(const fs::path& from, const fs::path& to);
/// unlink; nothing there is not an error.
void durable_remove(const fs::path& path);
/// fsync of a folder, after entries in it changed.
void sync_dir(const fs::path& dir);
/// How many durable steps this process has made so far; a kill test reads it to know how far to count.
std::uint64_t durable_steps() noexcept;

/// A file that comes into being at commit() and leaves no trace otherwise.
///
/// The temp file is called `.NAME.slip-tmp` and is held by flock while its writer lives. A writer that was killed
/// leaves it behind unlocked; the next AtomicFile for the same target removes it, and sweep_stale() any of them.
class AtomicFile {
 public:
  /// The temp file lies beside `target` (its folder must exist).
  explicit AtomicFile(fs::path target, unsigned mode = 0644);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile();
  void write(ByteView bytes);
  [[nodiscard]] const Fd& fd() const noexcept { return fd_; }
  [[nodiscard]] const fs::path& temp_path() const noexcept { return temp_; }
  /// fsync, rename over the target, fsync of the folder; fd() is closed afterwards.
  void commit();

 private:
  fs::path target_;
  fs::path temp_;
  Fd fd_;
  bool committed_ = false;
};

/// A private folder (0700) that disappears with the object. Held by flock while its maker lives, so that
/// sweep_stale() can tell what a killed process left behind.
class TempDir {
 public:
  /// Made inside `parent` (which must exist) with a name that starts with `prefix`.
  TempDir(const fs::path& parent, std::string_view prefix);
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir();
  [[nodiscard]] const fs::path& path() const noexcept { return path_; }
  /// Gives the folder up: it is the caller's now (after a rename, say).
  void keep() noexcept {
    kept_ = true;
    lock_.reset();
  }

 private:
  fs::path path_;
  Fd lock_;
  bool kept_ = false;
};

/// Removes what killed processes left in `parent`: temp files of AtomicFile and folders of TempDir whose name
/// starts with `prefix`, when nobody holds them and they are older than a minute. Returns how many.
std::size_t sweep_stale(const fs::path& parent, std::string_view prefix);

/// Exclusive or shared flock on a file that is made when missing; held until destruction.
class FileLock {
 public:
  enum class Mode { Shared, Exclusive };
  /// Waits; `on_wait` runs once if somebody else holds it.
  FileLock(const fs::path& path, Mode mode, const std::function<void()>& on_wait = {});
  /// Does not wait: nullopt when somebody else holds it.
  static std::optional<FileLock> try_lock(const fs::path& path, Mode mode);

 private:
  explicit FileLock(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

/// Writes to a descriptor that somebody else owns. Errors name `what`.
class FdSink final : public Sink {
 public:
  FdSink(int fd, std::string what) : fd_(fd), what_(std::move(what)) {}
  void write(ByteView bytes) override;

 private:
  int fd_;
  std::string what_;
};

/// Reads a descriptor that somebody else owns, from its current offset.
class FdSource final : public Source {
 public:
  FdSource(int fd, std::string what) : fd_(fd), what_(std::move(what)) {}
  std::size_t read(std::span<std::uint8_t> into) override;

 private:
  int fd_;
  std::string what_;
};

/// Reads `size` bytes of a descriptor from `offset` on, without moving its position.
class RangeSource final : public Source {
 public:
  RangeSource(int fd, std::uint64_t offset, std::uint64_t size, std::string what)
      : fd_(fd), at_(offset), left_(size), what_(std::move(what)) {}
  /// @throws Error Corrupt when the file ends before the range does
  std::size_t read(std::span<std::uint8_t> into) override;

 private:
  int fd_;
  std::uint64_t at_;
  std::uint64_t left_;
  std::string what_;
};

/// A file mapped read-only; the view lives as long as the object. Empty files give an empty view.
class Mapping {
 public:
  explicit Mapping(const fs::path& path);
  Mapping(Mapping&& other) noexcept;
  Mapping& operator=(Mapping&&) = delete;
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;
  ~Mapping();
  [[nodiscard]] ByteView bytes() const noexcept { return view_; }

 private:
  ByteView view_;
};

/// The folders of design "Files on the host": XDG for a person, /var/lib/slipway, /etc/slipway… for root.
/// SLIPWAY_STORE, SLIPWAY_STATE and SLIPWAY_CONFIG override.
struct HostDirs {
  fs::path store;    ///< $XDG_DATA_HOME/slipway | /var/lib/slipway
  fs::path state;    ///< $XDG_STATE_HOME/slipway | /var/lib/slipway/state
  fs::path config;   ///< $XDG_CONFIG_HOME/slipway/config.toml | /etc/slipway/config.toml
  fs::path runtime;  ///< $XDG_RUNTIME_DIR/slipway | /run/slipway
};
HostDirs host_dirs();

}  // namespace slip::os
