#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/digest.h"
#include "os/fd.h"
#include "os/file.h"

namespace slip::store {

/// Keeps one tree from gc, also when no Store is open any more: a running workspace holds its merged root this way.
/// The tree is given free when the last copy of the descriptor is closed, so a killed holder leaves nothing behind.
class Lease {
 public:
  Lease(std::filesystem::path tree, os::Fd fd) : tree_(std::move(tree)), fd_(std::move(fd)) {}
  [[nodiscard]] const std::filesystem::path& tree() const noexcept { return tree_; }
  /// Carries a shared flock. Close-on-exec; hand it to another program by clearing that or by dup.
  [[nodiscard]] const os::Fd& fd() const noexcept { return fd_; }

 private:
  std::filesystem::path tree_;
  os::Fd fd_;
};

/// The content store of one user on one host:
///
///   blobs/sha256/HEX        downloaded artefacts, layer blobs, manifests and configs; never changed once there
///   trees/KEY/              unpacked things (a package, a configured layer, a merged root); complete once there
///   partial/HEX             unfinished downloads
///   tmp/                    everything else unfinished; emptied of what no live process holds
///   fresh/BOOT/KEY          trees that a power cut could still tear; they are made anew after one
///   index.db                SQLite: records (small cached values), tags, last use of blobs and trees
///   lock, locks/, leases/   lock: shared by users of the store, exclusive for gc
///
/// Several processes may use it at once, and several threads one Store. A kill at any instruction leaves it valid.
/// The folder is private to its owner (0700; for root 0711), who alone may open it.
class Store {
 public:
  /// Opens, creating what is missing. Holds the store's lock shared until destruction.
  /// @param on_wait  runs once when gc of another process must be waited for
  /// @throws Error Denied: the folder belongs to somebody else; Unsupported: a newer slipway made it; NoSpace; Corrupt
  explicit Store(std::filesystem::path root, const std::function<void()>& on_wait = {});
  ~Store();
  Store(const Store&) = delete;
  Store& operator=(const Store&) = delete;
  [[nodiscard]] const std::filesystem::path& root() const noexcept { return root_; }
  /// A private folder under tmp/ on the same file system.
  [[nodiscard]] os::TempDir temp_dir(std::string_view prefix) const;

  // Blobs.
  [[nodiscard]] bool has_blob(const Digest& digest) const;
  /// Where the blob is or would be; notes the use when it is there.
  [[nodiscard]] std::filesystem::path blob_path(const Digest& digest) const;
  /// Takes over a complete file; the digest must be what the caller verified. The file is gone afterwards: renamed, or
  /// from another file system copied, and verified on the way.
  void adopt_blob(const std::filesystem::path& file, const Digest& digest);
  /// Stores bytes and returns their digest.
  Digest put_blob(std::string_view bytes);
  /// @throws Error NotFound; Corrupt when the bytes are not those of the digest; Invalid when larger than `limit` bytes
  std::string read_blob(const Digest& digest, std::uint64_t limit = 64u << 20) const;
  /// Reads every blob and removes those whose bytes differ from their digest (a disk fault, somebody's hand), so that
  /// they are fetched or made again. Returns them. @param progress  bytes done, bytes in all
  std::vector<Digest> remove_damaged(const std::function<void(std::uint64_t, std::uint64_t)>& progress = {});
  /// Where an unfinished download of this digest lies, so that a later run resumes it.
  [[nodiscard]] std::filesystem::path partial_path(const Digest& digest) const;

  // Trees. KEY: [a-z0-9][a-z0-9.+-]*, at most 200 bytes, chosen by the caller, e.g. "deb-HEX".
  [[nodiscard]] std::optional<std::filesystem::path> find_tree(const std::string& key) const;
  /// The tree, made by `make` in a temp folder when it is missing. Two processes that want the same tree: one makes
  /// it, the other waits. A kill leaves no half tree. `into` is an empty folder of mode 0755; `make` may itself ask for
  /// other trees.
  std::filesystem::path ensure_tree(const std::string& key,
                                    const std::function<void(const std::filesystem::path& into)>& make);

  /// Holds the tree for as long as the lease lives; nullopt when there is no such tree.
  [[nodiscard]] std::optional<Lease> lease_tree(const std::string& key) const;

  // Records: small cached values under (bucket, key); losing one only costs time.
  [[nodiscard]] std::optional<std::string> record(std::string_view bucket, std::string_view key) const;
  void set_record(std::string_view bucket, std::string_view key, std::string_view value);

  // Images.
  struct Image {
    std::string reference;  ///< "tf29-dev:latest"
    Digest manifest;
    std::int64_t built = 0;  ///< seconds since 1970, when the tag was set
  };
  /// Sorted by reference.
  [[nodiscard]] std::vector<Image> images() const;
  [[nodiscard]] std::optional<Digest> resolve(std::string_view reference) const;
  /// Durable on return: the manifest's blob should be there first.
  void set_tag(std::string_view reference, const Digest& manifest);
  /// False when there was no such tag.
  bool remove_tag(std::string_view reference);

  /// Seconds since 1970 when the blob or tree was last asked for, by whatever process; nullopt: never.
  [[nodiscard]] std::optional<std::int64_t> last_use(const Digest& blob) const;
  [[nodiscard]] std::optional<std::int64_t> last_use(const std::string& tree) const;

  /// What gc did. `bytes` is disk space: a file that other trees still link counts only with its last link.
  struct Freed {
    std::uint64_t blobs = 0, trees = 0, bytes = 0;
  };
  /// Removes what `keep_blob`/`keep_tree` do not name, unfinished files of dead processes, and records that nobody read
  /// for 90 days. Leased trees stay, and unfinished downloads of blobs that are kept.
  /// Waits for other users of the store to finish; no other thread may use this Store meanwhile.
  /// @param on_wait  runs once when there are other users
  Freed gc(const std::function<bool(const Digest&)>& keep_blob,
           const std::function<bool(const std::string&)>& keep_tree, const std::function<void()>& on_wait = {});

 private:
  struct State;
  Freed collect(const std::function<bool(const Digest&)>& keep_blob,
                const std::function<bool(const std::string&)>& keep_tree);
  std::filesystem::path root_;
  std::unique_ptr<State> state_;
};

}  // namespace slip::store
