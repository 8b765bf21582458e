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
#include "os/file.h"

namespace slip::store {

/// The content store of one user on one host:
///
///   blobs/sha256/HEX        downloaded artefacts, layer blobs, manifests and configs; never changed once there
///   trees/KEY/              unpacked things (a package, a configured layer, a merged root); complete once there
///   tmp/                    everything unfinished; emptied of what no live process holds
///   index.db                SQLite: records (small cached values), tags, last use of blobs and trees
///   lock                    shared by users of the store, exclusive for gc
///
/// Several processes may use it at once. A kill at any instruction leaves it valid.
class Store {
 public:
  /// Opens, creating what is missing. Holds the store's lock shared until destruction.
  explicit Store(std::filesystem::path root);
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
  /// Takes over a complete file (same file system: rename); the digest must be what the caller verified.
  void adopt_blob(const std::filesystem::path& file, const Digest& digest);
  /// Stores bytes and returns their digest.
  Digest put_blob(std::string_view bytes);
  std::string read_blob(const Digest& digest, std::uint64_t limit = 64u << 20) const;
  /// Where an unfinished download of this digest lies, so that a later run resumes it.
  [[nodiscard]] std::filesystem::path partial_path(const Digest& digest) const;

  // Trees. KEY: [a-z0-9][a-z0-9.+-]* chosen by the caller, e.g. "deb-HEX".
  [[nodiscard]] std::optional<std::filesystem::path> find_tree(const std::string& key) const;
  /// The tree, made by `make` in a temp folder when it is missing. Two processes that want the same tree: one makes
  /// it, the other waits. A kill leaves no half tree.
  std::filesystem::path ensure_tree(const std::string& key, const std::function<void(const std::filesystem::path& into)>& make);

  // Records: small cached values under (bucket, key); losing one only costs time.
  [[nodiscard]] std::optional<std::string> record(std::string_view bucket, std::string_view key) const;
  void set_record(std::string_view bucket, std::string_view key, std::string_view value);

  // Images.
  struct Image {
    std::string reference;  ///< "tf29-dev:latest"
    Digest manifest;
    std::int64_t built = 0;  ///< seconds since 1970, when the tag was set
  };
  [[nodiscard]] std::vector<Image> images() const;
  [[nodiscard]] std::optional<Digest> resolve(std::string_view reference) const;
  void set_tag(std::string_view reference, const Digest& manifest);
  /// False when there was no such tag.
  bool remove_tag(std::string_view reference);

  struct Freed {
    std::uint64_t blobs = 0, trees = 0, bytes = 0;
  };
  /// Removes what `keep_blob`/`keep_tree` do not name, unfinished files of dead processes, and stale records.
  /// Waits for other users of the store to finish.
  Freed gc(const std::function<bool(const Digest&)>& keep_blob, const std::function<bool(const std::string&)>& keep_tree);

 private:
  struct State;
  std::filesystem::path root_;
  std::unique_ptr<State> state_;
};

}  // namespace slip::store
