#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>

#include "os/file.h"

namespace slip::os {
namespace {

std::atomic<std::uint64_t> steps_made{0};

/// The step of SLIPWAY_TEST_KILL_AT; read each time, so that a test may set it in a forked child.
void count_step() noexcept {
  const std::uint64_t step = ++steps_made;
  const char* at = std::getenv("SLIPWAY_TEST_KILL_AT");
  if (at != nullptr && *at != '\0' && std::strtoull(at, nullptr, 10) == step) {
    ::kill(::getpid(), SIGKILL);
  }
}

fs::path folder_of(const fs::path& path) {
  const fs::path parent = path.parent_path();
  return parent.empty() ? fs::path(".") : parent;
}

/// A file name of at most 255 bytes for the `slot`-th temp file of `target`. Long names are cut and told apart by a
/// hash.
std::string temp_name(const fs::path& target, int slot) {
  std::string name = target.filename().string();
  if (name.size() > 200) {
    std::uint64_t hash = 14695981039346656037u;
    for (const char c : name) {
      hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    }
    name = format("{}-{:016x}", name.substr(0, 180), hash);
  }
  return slot == 0 ? format(".{}.slip-tmp", name) : format(".{}.{}.slip-tmp", name, slot);
}

bool same_file(int fd, const fs::path& path) {
  struct stat a{};
  struct stat b{};
  return ::fstat(fd, &a) == 0 && ::lstat(path.c_str(), &b) == 0 && a.st_dev == b.st_dev && a.st_ino == b.st_ino;
}

/// Removes a temp file whose writer is gone. The name can only change under whoever holds the lock, so a lock that
/// we got on the very inode the name shows makes the unlink safe.
/// @return false when a living writer holds it
bool remove_if_stale(const fs::path& temp) {
  Fd old(::open(temp.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
  if (!old.valid()) {
    return errno == ENOENT;
  }
  if (::flock(old.get(), LOCK_EX | LOCK_NB) != 0) {
    return false;
  }
  if (same_file(old.get(), temp)) {
    ::unlink(temp.c_str());
  }
  return true;
}

}  // namespace

std::uint64_t durable_steps() noexcept { return steps_made.load(); }

void durable_sync(const Fd& fd, const std::string& name) {
  count_step();
  call(::fsync, fd.get()).or_throw("write `{}` to disk", name);
}

void durable_rename(const fs::path& from, const fs::path& to) {
  count_step();
  call(::rename, from.c_str(), to.c_str()).or_throw("rename `{}` to `{}`", from.string(), to.string());
}

void durable_remove(const fs::path& path) {
  count_step();
  const SysRet r = call(::unlink, path.c_str());
  if (!r && r.err != ENOENT) {
    throw sys_error(r.err, format("remove `{}`", path.string()));
  }
}

void sync_dir(const fs::path& dir) {
  const Fd fd = open_dir(dir);
  count_step();
  const SysRet r = call(::fsync, fd.get());
  // Some file systems have nothing to sync for a folder and say so.
  if (!r && r.err != EINVAL && r.err != EROFS) {
    throw sys_error(r.err, format("write the folder `{}` to disk", dir.string()));
  }
}

AtomicFile::AtomicFile(fs::path target, unsigned mode) : target_(std::move(target)) {
  const fs::path folder = folder_of(target_);
  for (int slot = 0, tries = 0;; ++tries) {
    if (tries > 10000) {
      throw Error(ErrorKind::Conflict, "make a temporary file beside `{}`: every name is taken", target_.string());
    }
    temp_ = folder / temp_name(target_, slot);
    const SysRet made =
        call([](const char* p) { return ::open(p, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600); },
             temp_.c_str());
    if (!made) {
      if (made.err != EEXIST) {
        throw sys_error(made.err, format("make a file in `{}`", folder.string()));
      }
      slot += remove_if_stale(temp_) ? 0 : 1;
      continue;
    }
    fd_ = Fd(static_cast<int>(made.value));
    // Somebody may have taken the newborn file for a stale one before we locked it: then start again.
    if (::flock(fd_.get(), LOCK_EX | LOCK_NB) == 0 && same_file(fd_.get(), temp_)) {
      break;
    }
    fd_.reset();
  }
  const SysRet r = call(::fchmod, fd_.get(), static_cast<mode_t>(mode));
  if (!r) {
    ::unlink(temp_.c_str());
    throw sys_error(r.err, format("set the mode of `{}`", temp_.string()));
  }
}

AtomicFile::~AtomicFile() {
  if (!committed_ && fd_.valid()) {
    ::unlink(temp_.c_str());
  }
}

void AtomicFile::write(ByteView bytes) { FdSink(fd_.get(), target_.string()).write(bytes); }

void AtomicFile::commit() {
  SLIP_CHECK(!committed_);
  durable_sync(fd_, target_.string());
  durable_rename(temp_, target_);
  committed_ = true;
  sync_dir(folder_of(target_));
  fd_.close_checked(target_.string());
}

void write_file(const fs::path& path, std::string_view text, unsigned mode) {
  AtomicFile file(path, mode);
  file.write(as_bytes(text));
  file.commit();
}

TempDir::TempDir(const fs::path& parent, std::string_view prefix) {
  std::string name = (parent / format("{}XXXXXX", prefix)).string();
  if (::mkdtemp(name.data()) == nullptr) {
    throw sys_error(errno, format("make a temporary folder in `{}`", parent.string()));
  }
  path_ = name;
  lock_ = open_dir(path_);
  ::flock(lock_.get(), LOCK_SH | LOCK_NB);
}

TempDir::~TempDir() {
  if (kept_) {
    return;
  }
  try {
    remove_tree(path_);
  } catch (const Error&) {
    // A destructor cannot report; sweep_stale() takes what is left.
  }
}

std::size_t sweep_stale(const fs::path& parent, std::string_view prefix) {
  std::size_t removed = 0;
  std::error_code none;
  for (fs::directory_iterator it(parent, none), end; !none && it != end; it.increment(none)) {
    const std::string name = it->path().filename().string();
    const bool temp_file = name.starts_with('.') && name.ends_with(".slip-tmp");
    if (!temp_file && (prefix.empty() || !name.starts_with(prefix))) {
      continue;
    }
    Fd fd(::open(it->path().c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK));
    struct stat st{};
    if (!fd.valid() || ::fstat(fd.get(), &st) != 0 || (temp_file ? !S_ISREG(st.st_mode) : !S_ISDIR(st.st_mode))) {
      continue;
    }
    if (::time(nullptr) - st.st_ctime < 60 || ::flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
      continue;
    }
    remove_tree(it->path());
    ++removed;
  }
  return removed;
}

}  // namespace slip::os
