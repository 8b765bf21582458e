#include "launch/setup_mounts.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "launch/kernel_files.h"

namespace slip::launch::child {

FdPath::FdPath(int fd) noexcept {
  char digits[12];
  int n = 0;
  do {
    digits[n++] = static_cast<char>('0' + fd % 10);
    fd /= 10;
  } while (fd > 0);
  char* to = text + 14;
  while (n > 0) {
    *to++ = digits[--n];
  }
  *to = '\0';
}

namespace {

constexpr std::uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;

/// Looks `path` up as if `root` were the root folder, whatever links the image holds.
int open_inside(int root, const char* path, std::uint64_t flags) noexcept {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return static_cast<int>(::syscall(SYS_openat2, root, path, &how, sizeof how));
}

}  // namespace

int make_inside(int root, const char* path, bool folder, mode_t mode) noexcept {
  char part[PATH_MAX];
  const std::size_t length = std::strlen(path);
  if (length >= sizeof part) {
    errno = ENAMETOOLONG;
    return -1;
  }
  int at = open_inside(root, ".", O_PATH | O_DIRECTORY);
  for (std::size_t begin = 0; begin < length;) {
    while (begin < length && path[begin] == '/') {
      ++begin;
    }
    std::size_t end = begin;
    while (end < length && path[end] != '/') {
      ++end;
    }
    if (begin == end) {
      break;
    }
    const bool last = path[end] == '\0' || path[end + std::strspn(path + end, "/")] == '\0';
    std::memcpy(part, path, end);
    part[end] = '\0';
    int next = open_inside(root, part, O_PATH);
    if (next < 0 && errno == ENOENT) {
      const char* name = part + begin;
      if (!last || folder) {
        // mkdirat() applies our umask of 0, so `mode` is exact; parents are ordinary folders.
        if (::mkdirat(at, name, last ? mode : 0755) != 0 && errno != EEXIST) {
          return -1;
        }
      } else {
        const int made = ::openat(at, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (made < 0) {
          return -1;
        }
        ::close(made);
      }
      next = open_inside(root, part, O_PATH);
    }
    if (next < 0) {
      return -1;
    }
    ::close(at);
    at = next;
    begin = end;
  }
  return at;
}

int make_fs(const char* type, std::uint64_t attributes, const char* key1, const char* value1, const char* key2,
            const char* value2) noexcept {
  const int context = ::fsopen(type, FSOPEN_CLOEXEC);
  if (context < 0) {
    return -1;
  }
  const bool ok = (key1 == nullptr || ::fsconfig(context, FSCONFIG_SET_STRING, key1, value1, 0) == 0) &&
                  (key2 == nullptr || ::fsconfig(context, FSCONFIG_SET_STRING, key2, value2, 0) == 0) &&
                  ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) == 0;
  const int tree = ok ? ::fsmount(context, FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes)) : -1;
  const int err = errno;
  ::close(context);
  errno = err;
  return tree;
}

bool attach(int tree, int target) noexcept {
  return ::move_mount(tree, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH) == 0;
}

bool set_attributes(int tree, std::uint64_t attributes, bool recursive) noexcept {
  mount_attr attr{};
  attr.attr_set = attributes;
  return ::mount_setattr(tree, "", unsigned{AT_EMPTY_PATH} | (recursive ? unsigned{AT_RECURSIVE} : 0U), &attr,
                         sizeof attr) == 0;
}

int clone_at(int dir, const char* path, bool recursive) noexcept {
  return ::open_tree(dir, path,
                     OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (*path == '\0' ? unsigned{AT_EMPTY_PATH} : 0U) |
                         (recursive ? unsigned{AT_RECURSIVE} : 0U));
}

int tree_of(const Bind& bind) noexcept {
  return bind.tree >= 0 ? bind.tree : clone_at(AT_FDCWD, bind.source.c_str(), bind.recursive);
}

namespace {

/// Mounts a new file system on a folder inside, which is made when missing.
void mount_inside(const Setup& s, Step step, int root, const char* target, int tree) noexcept {
  const int at = make_inside(root, target, true, 0755);
  if (tree < 0 || at < 0 || !attach(tree, at)) {
    give_up(s, step, target);
  }
  ::close(at);
}

/// The base: a small file system in memory laid over "/" of the host (which stays reachable as our root folder); the
/// image, its writable layer and the result hang below it.
int make_base(const Setup& s) noexcept {
  const int base = s.tmpfs_size.empty() ? make_fs("tmpfs", kQuiet, "mode", "755")
                                        : make_fs("tmpfs", kQuiet, "mode", "755", "size", s.tmpfs_size.c_str());
  if (base < 0 || ::move_mount(base, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0 ||
      ::mkdirat(base, "lower", 0755) != 0 || ::mkdirat(base, "state", 0755) != 0 ||
      ::mkdirat(base, "root", 0755) != 0) {
    give_up(s, Step::Base, "tmpfs");
  }
  return base;
}

int attach_below(const Setup& s, Step step, int base, const char* name, const Bind& bind) noexcept {
  const int tree = tree_of(bind);
  if (tree < 0 || ::move_mount(tree, "", base, name, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    give_up(s, step, bind.source.c_str());
  }
  ::close(tree);
  const int at = ::openat(base, name, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (at < 0) {
    give_up(s, step, bind.source.c_str());
  }
  return at;
}

/// One of upper and work: in the state folder when there is one (made by the parent), else in memory.
int open_layer(const Setup& s, int state, const char* name, int opened) noexcept {
  if (opened >= 0) {
    return opened;
  }
  if (s.state.source.empty()) {
    ::mkdirat(state, name, 0755);
  }
  const int fd = ::openat(state, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
  if (fd < 0) {
    give_up(s, Step::Upper, name);
  }
  return fd;
}

}  // namespace

int mount_overlay(const Setup& s, int base) noexcept {
  const int lower = attach_below(s, Step::Lower, base, "lower", s.lower);
  const int state = s.state.source.empty() ? ::openat(base, "state", O_PATH | O_DIRECTORY | O_CLOEXEC)
                                           : attach_below(s, Step::Upper, base, "state", s.state);
  const int upper = open_layer(s, state, s.upper.c_str(), s.upper_fd);
  const int work = open_layer(s, state, s.work.c_str(), s.work_fd);
  const int context = ::fsopen("overlay", FSOPEN_CLOEXEC);
  // One lowerdir as a string: `lowerdir+` and descriptors as values are younger than Linux 6.1.
  if (context < 0 || ::fsconfig(context, FSCONFIG_SET_STRING, "lowerdir", FdPath(lower).text, 0) != 0 ||
      ::fsconfig(context, FSCONFIG_SET_STRING, "upperdir", FdPath(upper).text, 0) != 0 ||
      ::fsconfig(context, FSCONFIG_SET_STRING, "workdir", FdPath(work).text, 0) != 0 ||
      ::fsconfig(context, FSCONFIG_SET_FLAG, "userxattr", nullptr, 0) != 0 ||
      ::fsconfig(context, FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
    give_up(s, Step::Overlay, s.lower.source.c_str());
  }
  const int tree = ::fsmount(context, FSMOUNT_CLOEXEC, kQuiet);
  if (tree < 0 || ::move_mount(tree, "", base, "root", MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    give_up(s, Step::Overlay, s.lower.source.c_str());
  }
  for (const int fd : {context, tree, lower, state, upper, work}) {
    ::close(fd);
  }
  const int root = ::openat(base, "root", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (root < 0) {
    give_up(s, Step::Overlay, s.lower.source.c_str());
  }
  return root;
}

namespace {

void bind_device(const Setup& s, int dev, const char* host_path, const char* name) noexcept {
  const int file = ::openat(dev, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
  const int tree = clone_at(AT_FDCWD, host_path, false);
  if (file < 0 || tree < 0 || ::move_mount(tree, "", dev, name, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    give_up(s, Step::Dev, host_path);
  }
  ::close(file);
  ::close(tree);
}

void make_dev(const Setup& s, int root) noexcept {
  // Not nodev: device nodes of the host are shown here.
  const int dev = make_fs("tmpfs", MOUNT_ATTR_NOSUID, "mode", "755", "size", "64k");
  mount_inside(s, Step::Dev, root, "/dev", dev);
  static constexpr const char* kNodes[] = {"/dev/null",   "/dev/zero",    "/dev/full",
                                           "/dev/random", "/dev/urandom", "/dev/tty"};
  for (const char* node : kNodes) {
    bind_device(s, dev, node, node + 5);
  }
  static constexpr const char* kLinks[][2] = {{"pts/ptmx", "ptmx"},
                                              {"/proc/self/fd", "fd"},
                                              {"/proc/self/fd/0", "stdin"},
                                              {"/proc/self/fd/1", "stdout"},
                                              {"/proc/self/fd/2", "stderr"}};
  for (const auto& link : kLinks) {
    if (::symlinkat(link[0], dev, link[1]) != 0) {
      give_up(s, Step::Dev, link[1]);
    }
  }
  // No gid=5: the group tty has no id in here, so every chown of a terminal to it would be refused.
  mount_inside(s, Step::Pts, root, "/dev/pts",
               make_fs("devpts", MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC, "ptmxmode", "0666", "mode", "0620"));
  mount_inside(s, Step::Tmpfs, root, "/dev/shm",
               s.shm_size.empty() ? make_fs("tmpfs", kQuiet, "mode", "1777")
                                  : make_fs("tmpfs", kQuiet, "mode", "1777", "size", s.shm_size.c_str()));
  ::close(dev);
}

void make_scratch(const Setup& s, int root) noexcept {
  mount_inside(s, Step::Tmpfs, root, "/tmp", make_fs("tmpfs", kQuiet, "mode", "1777"));
  if (!s.build && !s.writable_root) {
    mount_inside(s, Step::Tmpfs, root, "/var/tmp", make_fs("tmpfs", kQuiet, "mode", "1777"));
  }
  const int run = make_fs("tmpfs", kQuiet, "mode", "755");
  mount_inside(s, Step::Tmpfs, root, "/run", run);
  if (::mkdirat(run, "lock", 01777) != 0 || ::fchmodat(run, "lock", 01777, 0) != 0) {
    give_up(s, Step::Tmpfs, "/run/lock");
  }
  ::close(run);
}

void make_proc(const Setup& s, int root) noexcept {
  mount_inside(s, Step::Proc, root, "/proc", make_fs("proc", kQuiet | MOUNT_ATTR_NOEXEC));
  if (s.build || !s.loopback) {
    return;  // sysfs shows the network namespace; with the host's it cannot be mounted here
  }
  const int sys = make_fs("sysfs", kQuiet | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY);
  if (sys >= 0) {
    mount_inside(s, Step::Sys, root, "/sys", sys);
  }
}

/// Hides a path behind an empty folder or /dev/null; a path that is not there needs no hiding.
void mask(const Setup& s, int root, const char* path) noexcept {
  const int at = open_inside(root, path, O_PATH | O_NOFOLLOW);
  if (at < 0) {
    return;
  }
  struct stat st{};
  const bool folder = ::fstat(at, &st) == 0 && S_ISDIR(st.st_mode);
  const int tree = folder
                       ? make_fs("tmpfs", kQuiet | MOUNT_ATTR_NOEXEC | MOUNT_ATTR_RDONLY, "mode", "755", "size", "4k")
                       : clone_at(AT_FDCWD, "/dev/null", false);
  if (tree < 0 || !attach(tree, at)) {
    give_up(s, Step::Mask, path);
  }
  ::close(tree);
  ::close(at);
}

void freeze(const Setup& s, int root, const char* path) noexcept {
  const int at = open_inside(root, path, O_PATH | O_NOFOLLOW);
  if (at < 0) {
    return;
  }
  const int tree = clone_at(at, "", true);
  if (tree < 0 || !set_attributes(tree, MOUNT_ATTR_RDONLY | kQuiet | MOUNT_ATTR_NOEXEC, true) || !attach(tree, at)) {
    give_up(s, Step::Mask, path);
  }
  ::close(tree);
  ::close(at);
}

void guard_kernel_files(const Setup& s, int root) noexcept {
  for (const char* path : kMaskedFiles) {
    mask(s, root, path);
  }
  for (const char* path : kFrozenFiles) {
    freeze(s, root, path);
  }
}

void attach_bind(const Setup& s, int root, const Bind& bind) noexcept {
  const int tree = tree_of(bind);
  struct stat st{};
  if (tree < 0 || ::fstat(tree, &st) != 0) {
    give_up(s, Step::Mount, bind.source.c_str());
  }
  const std::uint64_t quiet = bind.device ? std::uint64_t{MOUNT_ATTR_NOSUID} : kQuiet;
  if (!set_attributes(tree, quiet | (bind.read_only ? std::uint64_t{MOUNT_ATTR_RDONLY} : 0U), true)) {
    give_up(s, Step::Mount, bind.source.c_str());
  }
  const int at = make_inside(root, bind.target.c_str(), S_ISDIR(st.st_mode), 0755);
  if (at < 0) {
    give_up(s, Step::MountTarget, bind.target.c_str());
  }
  if (!attach(tree, at)) {
    give_up(s, Step::Mount, bind.source.c_str());
  }
  ::close(tree);
  ::close(at);
}

/// A folder of the overlay as a mount of its own, so that it stays writable when the root becomes read-only.
void keep_writable(const Setup& s, int root, const char* path) noexcept {
  const int at = make_inside(root, path, true, 0755);
  const int tree = at < 0 ? -1 : clone_at(at, "", false);
  if (tree < 0 || !attach(tree, at)) {
    give_up(s, Step::Home, path);
  }
  ::close(tree);
  ::close(at);
}

/// Makes `root` the root folder and lets go of the host's tree.
void drop_host(const Setup& s, int root) noexcept {
  // pivot_root onto itself: the host's tree, with the base still on top of it, ends up stacked on the new root. So two
  // mounts come off. Were one left, `/..` would lead into it: that is looked at before anything else runs.
  if (::fchdir(root) != 0 || ::syscall(SYS_pivot_root, ".", ".") != 0 || ::umount2(".", MNT_DETACH) != 0 ||
      ::umount2(".", MNT_DETACH) != 0 || ::chdir("/") != 0) {
    give_up(s, Step::Pivot, "/");
  }
  struct stat above{};
  struct stat inside{};
  struct stat wanted{};
  if (::stat("/..", &above) != 0 || ::stat("/", &inside) != 0 || ::fstat(root, &wanted) != 0 ||
      above.st_dev != wanted.st_dev || above.st_ino != wanted.st_ino || inside.st_dev != wanted.st_dev ||
      inside.st_ino != wanted.st_ino) {
    errno = EBUSY;
    give_up(s, Step::Pivot, "/..");
  }
}

}  // namespace

void build_root(const Setup& s) noexcept {
  ::umask(0);
  if (::mount("", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    give_up(s, Step::Propagation, "/");
  }
  const int base = make_base(s);
  const int root = mount_overlay(s, base);
  make_proc(s, root);
  make_dev(s, root);
  make_scratch(s, root);
  guard_kernel_files(s, root);
  for (const std::string& path : s.writable) {
    keep_writable(s, root, path.c_str());
  }
  for (const Bind& bind : s.binds) {
    attach_bind(s, root, bind);
  }
  const int cwd = make_inside(root, s.cwd.c_str(), true, 0755);
  if (cwd < 0) {
    give_up(s, Step::WorkingDirectory, s.cwd.c_str());
  }
  ::close(cwd);
  drop_host(s, root);
  ::close(root);
  ::close(base);
  if (!s.writable_root) {
    mount_attr attr{};
    attr.attr_set = MOUNT_ATTR_RDONLY;
    if (::mount_setattr(AT_FDCWD, "/", 0, &attr, sizeof attr) != 0) {
      give_up(s, Step::ReadOnly, "/");
    }
  }
}

}  // namespace slip::launch::child
