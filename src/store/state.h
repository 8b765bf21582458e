#pragma once

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "os/file.h"
#include "store/db.h"
#include "store/store.h"

namespace slip::store {

/// What a row of table `used` is about.
enum class Used : char { Blob = 'b', Tree = 't' };

/// Inside of an open store: its locks, its private temp folder and its index.
struct Store::State {
  explicit State(std::filesystem::path store_root) : root(std::move(store_root)) {}

  std::filesystem::path root;
  std::string boot;                  ///< this boot of the kernel; empty: unknown
  std::optional<os::FileLock> lock;  ///< shared; given up only while gc holds it exclusively
  std::optional<os::TempDir> own;    ///< tmp/XXXX: everything unfinished of this process
  std::atomic<std::uint64_t> serial{0};

  std::mutex mutex;  ///< guards what follows
  std::optional<Db> db;
  std::map<std::pair<Used, std::string>, std::int64_t> uses;                ///< not yet in the index
  std::map<std::pair<std::string, std::string>, std::int64_t> record_uses;  ///< (bucket, key), not yet in the index

  [[nodiscard]] std::filesystem::path blobs() const { return root / "blobs/sha256"; }
  void move_blob(const std::filesystem::path& file, const Digest& digest);
  [[nodiscard]] std::filesystem::path tree(const std::string& key) const { return root / "trees" / key; }
  [[nodiscard]] std::filesystem::path fresh() const { return root / "fresh"; }
  /// A new name in the private temp folder.
  std::filesystem::path temp_name(std::string_view prefix) { return own->path() / format("{}{}", prefix, ++serial); }

  void note_use(Used kind, std::string name);
  /// Opens index.db and brings its tables up to date.
  void open_index();
  /// Writes the noted uses down; the mutex must be held.
  void flush_uses();
  std::optional<std::int64_t> last_use(Used kind, const std::string& name);
  /// Takes what is gone, and records that nobody read for long, out of the index.
  void forget(const std::vector<std::pair<Used, std::string>>& gone);

  /// Makes the private temp folder and removes those of dead processes.
  void open_temp();
  /// Takes a tree out of the store at once and then removes it. Returns the bytes that became free.
  std::uint64_t drop_tree(const std::filesystem::path& tree);
  /// Removes trees that were made shortly before a power cut.
  void drop_torn_trees();
  void sync_tree_names() const;
  /// True when fresh/ names trees of another boot.
  [[nodiscard]] bool has_torn_trees() const;
  /// Notes that the tree's bytes may not be on the disk yet; before it appears.
  void mark_fresh(const std::string& key) const;
  /// Brings trees to the disk and forgets that they were fresh.
  /// @param younger_too  false: does nothing unless some tree is older than a minute, most of which is on the disk by
  /// then
  void settle(bool younger_too) const;
};

/// Private temp folders (tmp/X) whose process is gone.
std::vector<std::filesystem::path> dead_temp_dirs(const std::filesystem::path& tmp, std::vector<os::Fd>& held);
/// Disk space that removing this file or tree gives back.
std::uint64_t disk_bytes(const std::filesystem::path& path);

}  // namespace slip::store
