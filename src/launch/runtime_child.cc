#include "launch/runtime_child.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "launch/setup_mounts.h"
#include "launch/setup_steps.h"

namespace slip::launch {
namespace child {
namespace {

constexpr std::uint64_t kQuiet = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV;
constexpr const char* kConfig = "bundle/config.json";
constexpr const char* kLog = "bundle/log";
constexpr const char* kPid = "bundle/pid";

/// "mounts/N" without an allocation.
struct Slot {
  char text[24] = "mounts/";
  explicit Slot(std::size_t n) noexcept {
    char digits[12];
    int count = 0;
    do {
      digits[count++] = static_cast<char>('0' + n % 10);
      n /= 10;
    } while (n > 0);
    char* to = text + std::strlen(text);
    while (count > 0) {
      *to++ = digits[--count];
    }
    *to = '\0';
  }
};

/// Files that we make belong to the user inside, as the native launcher's do. Leaving root for them drops capabilities
/// over files, which an overlay needs of whoever mounts it: its work folder can be entered by nobody.
void act_as(const Setup& s, std::uint32_t uid, std::uint32_t gid) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  ::syscall(SYS_setfsgid, gid);
  ::syscall(SYS_setfsuid, uid);
  if (::syscall(SYS_capget, &header, data) != 0) {
    give_up(s, Step::Ids, "");
  }
  for (__user_cap_data_struct& part : data) {
    part.effective = part.permitted;
  }
  if (::syscall(SYS_capset, &header, data) != 0) {
    give_up(s, Step::Ids, "");
  }
}

void become_root_inside(const Setup& s) noexcept {
  if (::syscall(SYS_setresgid, 0, 0, 0) != 0 || ::syscall(SYS_setresuid, 0, 0, 0) != 0) {
    give_up(s, Step::Ids, "");
  }
  ::prctl(PR_SET_DUMPABLE, 1);
}

/// Copies of what is to be shown, before the base covers a part of the host.
void take_trees(Setup& s) noexcept {
  const auto take = [&](Bind& bind, Step step) {
    bind.tree = tree_of(bind);
    if (bind.tree < 0) {
      give_up(s, step, bind.source.c_str());
    }
  };
  take(s.lower, Step::Lower);
  if (!s.state.source.empty()) {
    take(s.state, Step::Upper);
  }
  for (Bind& bind : s.binds) {
    take(bind, Step::Mount);
  }
}

int lay_base(const RuntimeSetup& r) noexcept {
  const Setup& s = r.inner;
  const int base = s.tmpfs_size.empty() ? make_fs("tmpfs", kQuiet, "mode", "755")
                                        : make_fs("tmpfs", kQuiet, "mode", "755", "size", s.tmpfs_size.c_str());
  const int at = ::open(kBundleBase, O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (base < 0 || at < 0 || !attach(base, at)) {
    give_up(s, Step::Base, kBundleBase);
  }
  ::close(at);
  for (const char* name : {"lower", "state", "root", "mounts", "bundle"}) {
    if (::mkdirat(base, name, 0755) != 0) {
      give_up(s, Step::Base, name);
    }
  }
  for (const char* name : {"state", "mounts"}) {
    if (::fchownat(base, name, r.owner_uid, r.owner_gid, 0) != 0) {
      give_up(s, Step::Base, name);
    }
  }
  return base;
}

/// Attaches a tree where the runtime looks for the nth mount's source.
void fill_slot(const Setup& s, int base, std::size_t n, int tree, const char* what) noexcept {
  struct stat st{};
  const Slot slot(n);
  if (tree < 0 || ::fstat(tree, &st) != 0) {
    give_up(s, Step::Mount, what);
  }
  if (S_ISDIR(st.st_mode)) {
    ::mkdirat(base, slot.text, 0755);
  } else {
    ::close(::openat(base, slot.text, O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
  }
  if (::move_mount(tree, "", base, slot.text, MOVE_MOUNT_F_EMPTY_PATH) != 0) {
    give_up(s, Step::Mount, what);
  }
  ::close(tree);
}

void make_place(const RuntimeSetup& r, int base, int root, const MountPlace& place, bool folder) noexcept {
  if (place.parent == MountPlace::kRuntime) {
    return;
  }
  const int parent = place.parent == MountPlace::kRoot
                         ? root
                         : ::openat(base, Slot(static_cast<std::size_t>(place.parent)).text, O_PATH | O_CLOEXEC);
  struct stat st{};
  const mode_t mode = place.mode == 0 ? 0755 : place.mode;
  const int at = parent < 0 ? -1 : make_inside(parent, place.path.c_str(), folder, mode);
  if (at < 0 || ::fstat(at, &st) != 0) {
    give_up(r.inner, Step::MountTarget, place.path.c_str());
  }
  if (place.mode != 0 && (st.st_mode & 07777U) != place.mode && ::chmod(FdPath(at).text, place.mode) != 0) {
    give_up(r.inner, Step::MountTarget, place.path.c_str());
  }
  ::close(at);
  if (parent != root) {
    ::close(parent);
  }
}

bool is_folder(int base, std::size_t slot) noexcept {
  struct stat st{};
  return ::fstatat(base, Slot(slot).text, &st, 0) == 0 && S_ISDIR(st.st_mode);
}

void lay_mounts(const RuntimeSetup& r, int base, int root) noexcept {
  const Setup& s = r.inner;
  for (const MountPlace& place : r.folders) {
    make_place(r, base, root, place, true);
  }
  std::size_t n = 0;
  for (const std::string& path : s.writable) {
    const int at = make_inside(root, path.c_str(), true, 0755);
    const int tree = at < 0 ? -1 : clone_at(at, "", false);
    if (tree < 0) {
      give_up(s, Step::Home, path.c_str());
    }
    ::close(at);
    fill_slot(s, base, n++, tree, path.c_str());
  }
  for (const Bind& bind : s.binds) {
    // The runtime sets these on the mount itself; for those below it not every runtime can.
    if (!set_attributes(bind.tree, kQuiet | (bind.read_only ? std::uint64_t{MOUNT_ATTR_RDONLY} : 0U), true)) {
      give_up(s, Step::Mount, bind.source.c_str());
    }
    // Before the slot is filled: the place may lie in an earlier one, never in its own.
    fill_slot(s, base, n, bind.tree, bind.source.c_str());
    make_place(r, base, root, r.places[n], is_folder(base, n));
    ++n;
  }
}

/// What the runtime itself needs of proc and cgroups.
void show_kernel_files(const RuntimeSetup& r) noexcept {
  const int proc = make_fs("proc", kQuiet | MOUNT_ATTR_NOEXEC);
  const int at = ::open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (proc < 0 || at < 0 || !attach(proc, at)) {
    give_up(r.inner, Step::Proc, "/proc");
  }
  ::close(at);
  if (r.own_namespace) {
    // crun does not start where cgroup v1 and v2 are both mounted, whether it is to use them or not.
    const int unified = ::open("/sys/fs/cgroup/unified", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (unified >= 0) {
      const int empty = make_fs("tmpfs", kQuiet | MOUNT_ATTR_RDONLY, "size", "4k");
      if (empty < 0 || !attach(empty, unified)) {
        give_up(r.inner, Step::Mask, "/sys/fs/cgroup/unified");
      }
      ::close(unified);
    }
  }
}

void write_config(const RuntimeSetup& r, int base) noexcept {
  const int file = ::openat(base, kConfig, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  const char* from = r.config.data();
  const char* const end = from + r.config.size();
  while (file >= 0 && from < end) {
    const ssize_t n = ::write(file, from, static_cast<std::size_t>(end - from));
    if (n < 0 && errno != EINTR) {
      break;
    }
    from += n > 0 ? n : 0;
  }
  if (file < 0 || from < end) {
    give_up(r.inner, Step::Bundle, kConfig);
  }
  ::close(file);
}

[[noreturn]] void become_runtime(const RuntimeSetup& r, const ReadyCommand& command, bool filtered) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::umask(022);
  reset_signals();
  Setup quiet;  // without a terminal: that is the container's, not the runtime's
  quiet.in = r.inner.in;
  quiet.out = r.inner.out;
  quiet.err = r.inner.err;
  quiet.report = r.inner.report;
  connect_streams(quiet);
  if (filtered && !r.inner.filter.empty()) {
    install_filter(r.inner, false);
  }
  ::execve(command.argv[0], command.argv.data(), r.env.data());
  give_up(r.inner, Step::Exec, command.argv[0]);
}

/// @return the runtime's wait status
int have_runtime(const RuntimeSetup& r, const ReadyCommand& command, bool filtered) noexcept {
  const long runtime = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0L);
  if (runtime < 0) {
    give_up(r.inner, Step::Fork, command.argv[0]);
  }
  if (runtime == 0) {
    become_runtime(r, command, filtered);
  }
  int status = -1;
  while (::waitpid(static_cast<pid_t>(runtime), &status, 0) < 0 && errno == EINTR) {
  }
  return status;
}

/// Removes what the runtime made of the container, then tells why there is none.
[[noreturn]] void tell_failure(const RuntimeSetup& r, int base) noexcept {
  const int log = ::openat(base, kLog, O_RDONLY | O_CLOEXEC);
  have_runtime(r, r.remove, false);
  Record record;
  record.step = Step::Container;
  send_record(r.inner, record, log);
  ::_exit(127);
}

pid_t read_pid(int base) noexcept {
  char text[16] = {};
  const int file = ::openat(base, kPid, O_RDONLY | O_CLOEXEC);
  const ssize_t n = ::read(file, text, sizeof text - 1);
  ::close(file);
  pid_t pid = 0;
  for (ssize_t i = 0; i < n && text[i] >= '0' && text[i] <= '9'; ++i) {
    pid = pid * 10 + (text[i] - '0');
  }
  return pid;
}

int listen_for_console(const RuntimeSetup& r) noexcept {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strcpy(address.sun_path, kBundleBase);
  std::strcat(address.sun_path, "/bundle/tty");
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (listener < 0 || ::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(listener, 1) != 0) {
    give_up(r.inner, Step::Terminal, address.sun_path);
  }
  return listener;
}

/// The runtime has connected and sent the master of the container's terminal.
void pass_console_on(const RuntimeSetup& r, int listener) noexcept {
  const int connection = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  char name[256];
  iovec part{name, sizeof name};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const cmsghdr* header = ::recvmsg(connection, &message, MSG_CMSG_CLOEXEC) < 0 ? nullptr : CMSG_FIRSTHDR(&message);
  int master = -1;
  if (header == nullptr || header->cmsg_type != SCM_RIGHTS) {
    give_up(r.inner, Step::Terminal, "the runtime's");
  }
  std::memcpy(&master, CMSG_DATA(header), sizeof master);
  Record record;
  record.kind = RecordKind::Terminal;
  send_record(r.inner, record, master);
  ::close(master);
  ::close(connection);
  ::close(listener);
}

/// Waits for the container's end as its parent: the runtime that made it is gone.
[[noreturn]] void attend(RuntimeSetup& r, pid_t init) noexcept {
  // Readers of the container's output must see its end while we still live.
  const int status_fd = ::fcntl(r.inner.status, F_DUPFD, 10);
  const int null = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  for (int fd = 0; fd < 3; ++fd) {
    ::dup2(null, fd);
  }
  ::syscall(SYS_close_range, 3U, 9U, 0U);
  if (status_fd > 10) {
    ::syscall(SYS_close_range, 10U, static_cast<unsigned>(status_fd) - 1, 0U);
  }
  ::syscall(SYS_close_range, static_cast<unsigned>(status_fd) + 1, ~0U, 0U);
  ::fcntl(status_fd, F_SETFD, FD_CLOEXEC);
  // connect_streams() wants descriptors that are not 0–2.
  r.inner.in = r.inner.out = r.inner.err = ::open("/dev/null", O_RDWR | O_CLOEXEC);
  r.inner.report = -1;
  int status = 0;
  pid_t pid = 0;
  while ((pid = ::waitpid(-1, &status, 0)) != init) {
    if (pid < 0 && errno != EINTR) {
      ::_exit(1);
    }
  }
  [[maybe_unused]] const auto n = ::write(status_fd, &status, sizeof status);
  have_runtime(r, r.remove, false);
  ::_exit(0);
}

}  // namespace
}  // namespace child

void run_runtime(RuntimeSetup& r) noexcept {
  using namespace child;
  Setup& s = r.inner;
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  wait_for_go(s);
  if (r.own_namespace) {
    become_root_inside(s);
  }
  ::umask(0);
  if (::mount("", "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    give_up(s, Step::Propagation, "/");
  }
  take_trees(s);
  const int base = lay_base(r);
  act_as(s, r.owner_uid, r.owner_gid);
  const int root = mount_overlay(s, base);
  lay_mounts(r, base, root);
  act_as(s, 0, 0);
  ::close(root);
  show_kernel_files(r);
  write_config(r, base);
  tie_to_parent(s);

  const int console = s.terminal ? listen_for_console(r) : -1;
  if (have_runtime(r, r.create, true) != 0) {
    tell_failure(r, base);
  }
  if (console >= 0) {
    pass_console_on(r, console);
  }
  const pid_t init = read_pid(base);
  const auto pidfd = static_cast<int>(::syscall(SYS_pidfd_open, init, 0U));
  if (init <= 0 || pidfd < 0) {
    tell_failure(r, base);
  }
  Record record;
  record.kind = RecordKind::Init;
  send_record(s, record, pidfd);
  if (have_runtime(r, r.start, false) != 0) {
    tell_failure(r, base);
  }
  record.kind = RecordKind::Ready;
  send_record(s, record, -1);
  attend(r, init);
}

}  // namespace slip::launch
