#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>

#include "codec/sha256.h"
#include "core/error.h"
#include "store/state.h"

namespace slip::store {
namespace fs = std::filesystem;
namespace {

std::vector<std::string> names_in(const fs::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  if (error && error.value() != ENOENT) {
    throw os::sys_error(error.value(), format("list `{}`", folder.string()));
  }
  std::ranges::sort(names);
  return names;
}

bool is_held(const fs::path& lock_file) {
  const os::Fd fd(::open(lock_file.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0;
}

std::int64_t changed_at(const fs::path& file) {
  struct stat st{};
  return ::lstat(file.c_str(), &st) == 0 ? st.st_mtim.tv_sec * 1'000'000'000 + st.st_mtim.tv_nsec : 0;
}

}  // namespace

std::uint64_t disk_bytes(const fs::path& path) {
  const auto of = [](const fs::path& file) -> std::uint64_t {
    struct stat st{};
    if (::lstat(file.c_str(), &st) != 0 || (!S_ISDIR(st.st_mode) && st.st_nlink > 1)) {
      return 0;
    }
    return static_cast<std::uint64_t>(st.st_blocks) * 512;
  };
  std::uint64_t sum = of(path);
  std::error_code error;
  for (fs::recursive_directory_iterator it(path, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    sum += of(it->path());
  }
  return sum;
}

std::vector<fs::path> dead_temp_dirs(const fs::path& tmp, std::vector<os::Fd>& held) {
  std::vector<fs::path> dead;
  for (const std::string& name : names_in(tmp)) {
    os::Fd fd(::open((tmp / name).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd.valid() && ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      dead.push_back(tmp / name);
      held.push_back(std::move(fd));
    }
  }
  return dead;
}

void Store::State::open_temp() {
  std::vector<os::Fd> held;
  std::vector<fs::path> dead;
  {
    // Under this lock no folder is between its making and its owner's flock.
    const os::FileLock order(root / "locks/.tmp", os::FileLock::Mode::Exclusive);
    dead = dead_temp_dirs(root / "tmp", held);
    own.emplace(root / "tmp", format("{}-", ::getpid()));
  }
  for (const fs::path& folder : dead) {
    os::remove_tree(folder);
  }
}

std::uint64_t Store::State::drop_tree(const fs::path& tree) {
  const std::uint64_t bytes = disk_bytes(tree);
  const fs::path away = temp_name("gone-");
  os::durable_rename(tree, away);
  os::remove_tree(away);
  return bytes;
}

bool Store::State::has_torn_trees() const {
  const std::vector<std::string> boots = names_in(fresh());
  return !boot.empty() && std::ranges::any_of(boots, [&](const std::string& name) { return name != boot; });
}

void Store::State::drop_torn_trees() {
  for (const std::string& other : names_in(fresh())) {
    if (other == boot) {
      continue;
    }
    for (const std::string& key : names_in(fresh() / other)) {
      std::error_code none;
      if (fs::is_directory(tree(key), none)) {
        drop_tree(tree(key));
      }
    }
    sync_tree_names();
    os::remove_tree(fresh() / other);
  }
}

void Store::State::sync_tree_names() const { os::sync_dir(root / "trees"); }

void Store::State::mark_fresh(const std::string& key) const {
  const fs::path folder = fresh() / (boot.empty() ? "unknown" : boot);
  os::make_dirs(folder, 0700);
  // The name says it all. Journals keep the order of names: if the tree's survives a power cut, so does this one.
  const os::Fd mark(static_cast<int>(
      os::call([](const char* p) { return ::open(p, O_WRONLY | O_CREAT | O_CLOEXEC, 0600); }, (folder / key).c_str())
          .or_throw("note the new tree `{}`", key)));
}

void Store::State::settle(bool younger_too) const {
  const fs::path folder = fresh() / (boot.empty() ? "unknown" : boot);
  std::vector<std::pair<std::int64_t, fs::path>> marks;
  for (const std::string& key : names_in(folder)) {
    marks.emplace_back(changed_at(folder / key), folder / key);
  }
  std::ranges::sort(marks);
  const std::int64_t minute_ago = (std::time(nullptr) - 60) * 1'000'000'000;
  if (marks.empty() || (!younger_too && marks.front().first > minute_ago)) {
    return;
  }
  const os::Fd dir = os::open_dir(root);
  os::call(::syncfs, dir.get()).or_throw("write the store `{}` to disk", root.string());
  // Oldest first: trees build on older ones, so a kill in between must not leave an older one in doubt alone.
  for (const auto& [when, mark] : marks) {
    os::durable_remove(mark);
  }
}

std::vector<Digest> Store::remove_damaged(const std::function<void(std::uint64_t, std::uint64_t)>& progress) {
  std::vector<std::pair<Digest, std::uint64_t>> blobs;
  std::uint64_t total = 0;
  for (const std::string& name : names_in(state_->blobs())) {
    struct stat st{};
    const auto digest = Digest::parse(name);
    if (digest && ::lstat((state_->blobs() / name).c_str(), &st) == 0) {
      blobs.emplace_back(*digest, static_cast<std::uint64_t>(st.st_size));
      total += blobs.back().second;
    }
  }
  std::vector<Digest> damaged;
  std::uint64_t done = 0;
  for (const auto& [digest, size] : blobs) {
    const fs::path path = state_->blobs() / digest.hex();
    const os::Fd fd = os::open_read(path);
    os::FdSource source(fd.get(), path.string());
    codec::HashSink hash;
    copy_all(source, hash);
    if (hash.finish() != digest) {
      os::durable_remove(path);
      damaged.push_back(digest);
    }
    done += size;
    if (progress) {
      progress(done, total);
    }
  }
  return damaged;
}

Store::Freed Store::gc(const std::function<bool(const Digest&)>& keep_blob,
                       const std::function<bool(const std::string&)>& keep_tree, const std::function<void()>& on_wait) {
  state_->lock.reset();
  const auto alone_in_store = [&] {
    const os::FileLock alone(root_ / "lock", os::FileLock::Mode::Exclusive, on_wait);
    return collect(keep_blob, keep_tree);
  };
  const auto share_again = [&] { state_->lock.emplace(root_ / "lock", os::FileLock::Mode::Shared); };
  try {
    const Freed freed = alone_in_store();
    share_again();
    return freed;
  } catch (const Error&) {
    share_again();
    throw;
  }
}

Store::Freed Store::collect(const std::function<bool(const Digest&)>& keep_blob,
                            const std::function<bool(const std::string&)>& keep_tree) {
  Freed freed;
  std::vector<std::pair<Used, std::string>> gone;
  {
    const std::lock_guard hold(state_->mutex);
    state_->flush_uses();
  }
  state_->settle(/*younger_too=*/true);

  for (const std::string& key : names_in(root_ / "trees")) {
    if (keep_tree(key) || is_held(root_ / "leases" / key)) {
      continue;
    }
    freed.bytes += state_->drop_tree(state_->tree(key));
    ++freed.trees;
    gone.emplace_back(Used::Tree, key);
  }
  for (const std::string& name : names_in(state_->blobs())) {
    const auto digest = Digest::parse(name);
    if (!digest || keep_blob(*digest)) {
      continue;
    }
    freed.bytes += disk_bytes(state_->blobs() / name);
    os::durable_remove(state_->blobs() / name);
    ++freed.blobs;
    gone.emplace_back(Used::Blob, name);
  }
  for (const std::string& name : names_in(root_ / "partial")) {
    const auto digest = Digest::parse(std::string_view(name).substr(0, 64));
    if (digest && keep_blob(*digest) && !has_blob(*digest)) {
      continue;  // wanted, and half here: a download goes on from there
    }
    freed.bytes += disk_bytes(root_ / "partial" / name);
    os::remove_tree(root_ / "partial" / name);
  }
  // Nobody else is in the store, so nobody waits for a tree, and only a lease can be held.
  std::vector<os::Fd> held;
  for (const fs::path& folder : dead_temp_dirs(root_ / "tmp", held)) {
    freed.bytes += disk_bytes(folder);
    os::remove_tree(folder);
  }
  for (const char* folder : {"locks", "leases"}) {
    for (const std::string& name : names_in(root_ / folder)) {
      if (name != ".tmp" && !is_held(root_ / folder / name)) {
        os::durable_remove(root_ / folder / name);
      }
    }
  }
  state_->forget(gone);
  return freed;
}

}  // namespace slip::store
