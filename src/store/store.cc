#include "store/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "codec/sha256.h"
#include "core/error.h"
#include "store/state.h"

namespace slip::store {
namespace fs = std::filesystem;
namespace {

constexpr unsigned kBlobMode = 0444;

void check_key(const std::string& key) {
  const auto plain = [](char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); };
  const bool good = !key.empty() && key.size() <= 200 && plain(key.front()) &&
                    std::ranges::all_of(key, [&](char c) { return plain(c) || c == '.' || c == '+' || c == '-'; });
  if (!good) {
    throw Error(ErrorKind::Internal, "`{}` cannot be the key of a tree", key);
  }
}

bool is_there(const fs::path& path, mode_t type) {
  struct stat st{};
  const os::SysRet r = os::call(::lstat, path.c_str(), &st);
  if (!r && r.err != ENOENT && r.err != ENOTDIR) {
    throw os::sys_error(r.err, format("look up `{}`", path.string()));
  }
  return bool(r) && (st.st_mode & S_IFMT) == type;
}

void make_layout(const fs::path& root) {
  const bool is_root = ::geteuid() == 0;
  os::make_dirs(root, is_root ? 0711 : 0700);
  struct stat st{};
  os::call(::stat, root.c_str(), &st).or_throw("look up `{}`", root.string());
  if (st.st_uid != ::geteuid()) {
    throw Error(ErrorKind::Denied, "open the store `{}`: it belongs to user {}, and this is user {}", root.string(),
                st.st_uid, ::geteuid())
        .add_hint("every user has a store of their own: set SLIPWAY_STORE to one of yours, or unset it");
  }
  for (const char* name : {"blobs/sha256", "trees", "partial", "tmp", "fresh", "locks", "leases"}) {
    os::make_dirs(root / name, 0700);
  }
}

/// Copies from another file system into `to`, which must not exist; removes the copy again when the digest differs.
void copy_verified(const fs::path& from, const fs::path& to, const Digest& digest) {
  const os::Fd in = os::open_read(from);
  os::AtomicFile out(to, kBlobMode);
  os::FdSource source(in.get(), from.string());
  os::FdSink sink(out.fd().get(), to.string());
  codec::HashSink hash(&sink);
  copy_all(source, hash);
  if (const Digest found = hash.finish(); found != digest) {
    throw Error(ErrorKind::Corrupt, "`{}` has digest {} where {} was promised", from.string(), found.text(),
                digest.text());
  }
  out.commit();
}

}  // namespace

Store::Store(fs::path root, const std::function<void()>& on_wait)
    : root_(fs::absolute(std::move(root))), state_(std::make_unique<State>(root_)) {
  make_layout(root_);
  state_->boot = os::read_file_if_any("/proc/sys/kernel/random/boot_id", 4096).value_or("");
  std::erase_if(state_->boot, [](char c) { return c == '\n' || c == '/'; });
  if (state_->has_torn_trees()) {
    // Whoever opens the store first after a power cut finds nobody else in it. If somebody is, they have done this.
    if (auto alone = os::FileLock::try_lock(root_ / "lock", os::FileLock::Mode::Exclusive)) {
      state_->open_temp();
      state_->drop_torn_trees();
      state_->own.reset();
    }
  }
  state_->lock.emplace(root_ / "lock", os::FileLock::Mode::Shared, on_wait);
  state_->open_temp();
  state_->open_index();
}

Store::~Store() {
  try {
    const std::lock_guard hold(state_->mutex);
    state_->flush_uses();
    state_->settle(/*younger_too=*/false);
  } catch (const Error&) {
    // Last uses are a hint for gc, and what is not settled now is settled by the next process.
  }
}

os::TempDir Store::temp_dir(std::string_view prefix) const { return {state_->own->path(), prefix}; }

bool Store::has_blob(const Digest& digest) const { return is_there(state_->blobs() / digest.hex(), S_IFREG); }

fs::path Store::blob_path(const Digest& digest) const {
  if (has_blob(digest)) {
    state_->note_use(Used::Blob, digest.hex());
  }
  return state_->blobs() / digest.hex();
}

void Store::State::move_blob(const fs::path& file, const Digest& digest) {
  struct stat from{};
  struct stat here{};
  const os::Fd fd = os::open_read(file);
  os::call(::fstat, fd.get(), &from).or_throw("look up `{}`", file.string());
  os::call(::stat, blobs().c_str(), &here).or_throw("look up `{}`", blobs().string());
  fs::path source = file;
  if (from.st_dev != here.st_dev) {
    source = temp_name("blob-");
    copy_verified(file, source, digest);
  } else {
    os::call(::fchmod, fd.get(), kBlobMode).or_throw("set the mode of `{}`", file.string());
    os::durable_sync(fd, file.string());
  }
  os::durable_rename(source, blobs() / digest.hex());
  os::sync_dir(blobs());
}

void Store::adopt_blob(const fs::path& file, const Digest& digest) {
  if (!has_blob(digest)) {
    try {
      state_->move_blob(file, digest);
    } catch (const Error& error) {
      // Another process that fetched the same file may have moved it in between.
      if (error.kind() != ErrorKind::NotFound || !has_blob(digest)) {
        throw;
      }
    }
  }
  os::durable_remove(file);  // gone already when it was renamed
  state_->note_use(Used::Blob, digest.hex());
}

Digest Store::put_blob(std::string_view bytes) {
  const Digest digest = codec::sha256(bytes);
  if (!has_blob(digest)) {
    const fs::path temp = state_->temp_name("blob-");
    os::AtomicFile file(temp, kBlobMode);
    file.write(as_bytes(bytes));
    file.commit();
    os::durable_rename(temp, state_->blobs() / digest.hex());
    os::sync_dir(state_->blobs());
  }
  state_->note_use(Used::Blob, digest.hex());
  return digest;
}

std::string Store::read_blob(const Digest& digest, std::uint64_t limit) const {
  const fs::path path = blob_path(digest);
  std::optional<std::string> bytes = os::read_file_if_any(path, limit);
  if (!bytes) {
    throw Error(ErrorKind::NotFound, "blob {} is not in the store", digest.text());
  }
  if (const Digest found = codec::sha256(*bytes); found != digest) {
    throw Error(ErrorKind::Corrupt, "blob {} in the store has other bytes: their digest is {}", digest.text(),
                found.text())
        .add_hint("`slipway gc --verify` removes damaged blobs; they are fetched or built again afterwards");
  }
  return std::move(*bytes);
}

fs::path Store::partial_path(const Digest& digest) const { return root_ / "partial" / digest.hex(); }

std::optional<fs::path> Store::find_tree(const std::string& key) const {
  check_key(key);
  fs::path path = state_->tree(key);
  if (!is_there(path, S_IFDIR)) {
    return std::nullopt;
  }
  state_->note_use(Used::Tree, key);
  return path;
}

fs::path Store::ensure_tree(const std::string& key, const std::function<void(const fs::path& into)>& make) {
  if (auto there = find_tree(key)) {
    return *there;
  }
  const os::FileLock one_maker(root_ / "locks" / key, os::FileLock::Mode::Exclusive);
  if (auto there = find_tree(key)) {
    return *there;
  }
  const os::TempDir scratch = temp_dir("tree-");
  const fs::path into = scratch.path() / "tree";
  os::make_dirs(into, 0755);
  make(into);
  state_->mark_fresh(key);
  os::durable_rename(into, state_->tree(key));
  state_->note_use(Used::Tree, key);
  return state_->tree(key);
}

std::optional<Lease> Store::lease_tree(const std::string& key) const {
  auto tree = find_tree(key);
  if (!tree) {
    return std::nullopt;
  }
  // gc cannot come between: it needs the store's lock for itself, and we hold it.
  const fs::path file = root_ / "leases" / key;
  os::Fd fd(static_cast<int>(
      os::call([](const char* p) { return ::open(p, O_RDWR | O_CREAT | O_CLOEXEC, 0600); }, file.c_str())
          .or_throw("open the lease `{}`", file.string())));
  os::call(::flock, fd.get(), LOCK_SH).or_throw("lock `{}`", file.string());
  return Lease(std::move(*tree), std::move(fd));
}

}  // namespace slip::store
