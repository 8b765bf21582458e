#include "os/file.h"

#include <fcntl.h>

#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

namespace slip::os {
namespace {

SysRet open_at(const fs::path& path, int flags) {
  return call([flags](const char* p) { return ::open(p, flags | O_CLOEXEC); }, path.c_str());
}

fs::path env_path(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? fs::path() : fs::path(value);
}

/// $NAME when it is an absolute path (the XDG rule), else `otherwise`.
fs::path xdg(const char* name, const fs::path& otherwise) {
  const fs::path value = env_path(name);
  return value.is_absolute() ? value : otherwise;
}

}  // namespace

Fd open_read(const fs::path& path) {
  return Fd(static_cast<int>(open_at(path, O_RDONLY).or_throw("open `{}`", path.string())));
}

Fd open_dir(const fs::path& path) {
  return Fd(static_cast<int>(open_at(path, O_RDONLY | O_DIRECTORY).or_throw("open the folder `{}`", path.string())));
}

std::uint64_t file_size(const Fd& fd, const std::string& name) {
  struct stat st{};
  call(::fstat, fd.get(), &st).or_throw("read the size of `{}`", name);
  return static_cast<std::uint64_t>(st.st_size);
}

std::string read_file(const fs::path& path, std::uint64_t limit) {
  const Fd fd = open_read(path);
  const auto too_large = [&] {
    return Error(ErrorKind::Invalid, "read `{}`: it is larger than {} bytes", path.string(), limit);
  };
  const std::uint64_t size = file_size(fd, path.string());
  if (size > limit) {
    throw too_large();
  }
  // Files of /proc and /sys report size 0 or a page: read until the end all the same.
  std::string text(static_cast<std::size_t>(size) + 1, '\0');
  std::size_t have = 0;
  while (true) {
    const long n = call(::read, fd.get(), text.data() + have, text.size() - have).or_throw("read `{}`", path.string());
    if (n == 0) {
      break;
    }
    have += static_cast<std::size_t>(n);
    if (have > limit) {
      throw too_large();
    }
    if (have == text.size()) {
      text.resize(text.size() * 2 + 4096);
    }
  }
  text.resize(have);
  return text;
}

std::optional<std::string> read_file_if_any(const fs::path& path, std::uint64_t limit) {
  try {
    return read_file(path, limit);
  } catch (const Error& e) {
    if (e.kind() == ErrorKind::NotFound) {
      return std::nullopt;
    }
    throw;
  }
}

FileLock::FileLock(const fs::path& path, Mode mode, const std::function<void()>& on_wait) {
  if (auto held = try_lock(path, mode)) {
    fd_ = std::move(held->fd_);
    return;
  }
  if (on_wait) {
    on_wait();
  }
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC;
  fd_ = Fd(static_cast<int>(call([](const char* p) { return ::open(p, kFlags, 0644); }, path.c_str())
                                .or_throw("open the lock `{}`", path.string())));
  call(::flock, fd_.get(), mode == Mode::Shared ? LOCK_SH : LOCK_EX).or_throw("lock `{}`", path.string());
}

std::optional<FileLock> FileLock::try_lock(const fs::path& path, Mode mode) {
  constexpr int kFlags = O_RDWR | O_CREAT | O_CLOEXEC;
  Fd fd(static_cast<int>(call([](const char* p) { return ::open(p, kFlags, 0644); }, path.c_str())
                             .or_throw("open the lock `{}`", path.string())));
  const SysRet r = call(::flock, fd.get(), (mode == Mode::Shared ? LOCK_SH : LOCK_EX) | LOCK_NB);
  if (!r) {
    if (r.err == EWOULDBLOCK) {
      return std::nullopt;
    }
    throw sys_error(r.err, format("lock `{}`", path.string()));
  }
  return FileLock(std::move(fd));
}

void FdSink::write(ByteView bytes) {
  while (!bytes.empty()) {
    const long n = call(::write, fd_, bytes.data(), bytes.size()).or_throw("write `{}`", what_);
    bytes = bytes.subspan(static_cast<std::size_t>(n));
  }
}

std::size_t RangeSource::read(std::span<std::uint8_t> into) {
  const std::size_t wanted = static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_));
  if (wanted == 0) {
    return 0;
  }
  const long n =
      call(::pread, fd_, static_cast<void*>(into.data()), wanted, static_cast<off_t>(at_)).or_throw("read {}", what_);
  if (n == 0) {
    throw Error(ErrorKind::Corrupt, "{} is shorter than it promises", what_);
  }
  at_ += static_cast<std::uint64_t>(n);
  left_ -= static_cast<std::uint64_t>(n);
  return static_cast<std::size_t>(n);
}

std::size_t FdSource::read(std::span<std::uint8_t> into) {
  return static_cast<std::size_t>(call(::read, fd_, into.data(), into.size()).or_throw("read `{}`", what_));
}

Mapping::Mapping(const fs::path& path) {
  const Fd fd = open_read(path);
  const auto size = static_cast<std::size_t>(file_size(fd, path.string()));
  if (size == 0) {
    return;
  }
  void* at = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (at == MAP_FAILED) {
    throw sys_error(errno, format("map `{}` into memory", path.string()));
  }
  view_ = {static_cast<const std::uint8_t*>(at), size};
}

Mapping::Mapping(Mapping&& other) noexcept : view_(std::exchange(other.view_, {})) {}

Mapping::~Mapping() {
  if (!view_.empty()) {
    ::munmap(const_cast<std::uint8_t*>(view_.data()), view_.size());
  }
}

HostDirs host_dirs() {
  HostDirs dirs;
  if (::geteuid() == 0) {
    dirs = {"/var/lib/slipway", "/var/lib/slipway/state", "/etc/slipway/config.toml", "/run/slipway"};
  } else {
    const fs::path home = xdg("HOME", "/");
    dirs.store = xdg("XDG_DATA_HOME", home / ".local/share") / "slipway";
    dirs.state = xdg("XDG_STATE_HOME", home / ".local/state") / "slipway";
    dirs.config = xdg("XDG_CONFIG_HOME", home / ".config") / "slipway/config.toml";
    const fs::path runtime = env_path("XDG_RUNTIME_DIR");
    // Without a login session there is no runtime folder; the state folder is private too.
    dirs.runtime = runtime.is_absolute() ? runtime / "slipway" : dirs.state / "run";
  }
  if (const fs::path p = env_path("SLIPWAY_STORE"); !p.empty()) {
    dirs.store = fs::absolute(p);
  }
  if (const fs::path p = env_path("SLIPWAY_STATE"); !p.empty()) {
    dirs.state = fs::absolute(p);
  }
  if (const fs::path p = env_path("SLIPWAY_CONFIG"); !p.empty()) {
    dirs.config = fs::absolute(p);
  }
  return dirs;
}

}  // namespace slip::os
