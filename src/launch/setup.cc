#include "launch/setup.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "launch/setup_mounts.h"
#include "launch/setup_steps.h"

namespace slip::launch {

const char* text_of(Step step) noexcept {
  switch (step) {
    case Step::Go: return "wait for the launcher";
    case Step::Enter: return "enter the workspace";
    case Step::CgroupNamespace: return "make a cgroup namespace";
    case Step::Ids: return "take on the user inside";
    case Step::Propagation: return "detach from the mounts of the host";
    case Step::Loopback: return "bring the loopback interface up";
    case Step::Hostname: return "set the host name";
    case Step::Base: return "make a file system in memory";
    case Step::Lower: return "open the image's files";
    case Step::Upper: return "open the writable layer";
    case Step::Overlay: return "mount the image with its writable layer";
    case Step::Proc: return "mount proc";
    case Step::Dev: return "set up /dev";
    case Step::Pts: return "mount the terminals";
    case Step::Tmpfs: return "mount a file system in memory";
    case Step::Sys: return "mount sysfs";
    case Step::Mask: return "hide a kernel file";
    case Step::MountTarget: return "make the place of a mount";
    case Step::Mount: return "mount";
    case Step::Home: return "set up the home folder";
    case Step::Pivot: return "change the root folder";
    case Step::ReadOnly: return "make the system read-only";
    case Step::WorkingDirectory: return "enter the working folder";
    case Step::Terminal: return "open a terminal";
    case Step::NoNewPrivileges: return "give up new privileges";
    case Step::Capabilities: return "give up capabilities";
    case Step::Filter: return "install the system call filter";
    case Step::Fork: return "start the command";
    case Step::Streams: return "connect the standard streams";
    case Step::Limits: return "set the limits";
    case Step::Find: return "find the command";
    case Step::Bundle: return "write the bundle of the OCI runtime";
    case Step::Container: return "make the container";
    case Step::Exec: return "run the command";
  }
  return "start";
}

namespace child {

void send_record(const Setup& s, const Record& record, int fd) noexcept {
  iovec part{const_cast<Record*>(&record), sizeof record};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (fd >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd, sizeof fd);
  }
  while (::sendmsg(s.report, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

void wait_for_go(const Setup& s) noexcept {
  char byte = 0;
  ssize_t n = 0;
  do {
    n = ::read(s.go, &byte, 1);
  } while (n < 0 && errno == EINTR);
  if (n != 1) {
    ::_exit(127);
  }
}

namespace {

void take_ids(const Setup& s) noexcept {
  // Started by root we are still root outside, unmapped in here; from now on only the one id is left.
  if (::syscall(SYS_setresgid, s.gid, s.gid, s.gid) != 0 || ::syscall(SYS_setresuid, s.uid, s.uid, s.uid) != 0) {
    give_up(s, Step::Ids, "");
  }
  ::prctl(PR_SET_DUMPABLE, 1);
}

void bring_up_loopback(const Setup& s) noexcept {
  const int sock = ::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  ifreq request{};
  std::memcpy(request.ifr_name, "lo", 3);
  request.ifr_flags = IFF_UP | IFF_RUNNING;
  if (sock < 0 || ::ioctl(sock, SIOCSIFFLAGS, &request) != 0) {
    give_up(s, Step::Loopback, "lo");
  }
  ::close(sock);
}

/// Capabilities a maintainer script may use on its own files; none of them reaches outside the one id.
constexpr std::uint64_t kBuildCapabilities = (1ULL << CAP_CHOWN) | (1ULL << CAP_DAC_OVERRIDE) | (1ULL << CAP_FOWNER) |
                                             (1ULL << CAP_FSETID) | (1ULL << CAP_KILL) | (1ULL << CAP_SETGID) |
                                             (1ULL << CAP_SETUID) | (1ULL << CAP_SETPCAP) |
                                             (1ULL << CAP_NET_BIND_SERVICE) | (1ULL << CAP_SYS_CHROOT) |
                                             (1ULL << CAP_MKNOD) | (1ULL << CAP_AUDIT_WRITE) | (1ULL << CAP_SETFCAP);

void drop_capabilities(const Setup& s) noexcept {
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) {
    give_up(s, Step::NoNewPrivileges, "");
  }
  const std::uint64_t keep = s.build ? kBuildCapabilities : 0;
  for (unsigned cap = 0; cap < 64; ++cap) {
    if ((keep >> cap & 1) == 0 && ::prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) != 0) {
      if (errno == EINVAL) {
        break;  // beyond the last capability this kernel knows
      }
      give_up(s, Step::Capabilities, "bounding set");
    }
  }
  ::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  for (unsigned i = 0; i < 2; ++i) {
    data[i].effective = data[i].permitted = static_cast<std::uint32_t>(keep >> (32 * i));
  }
  if (::syscall(SYS_capset, &header, data) != 0) {
    give_up(s, Step::Capabilities, "");
  }
}

}  // namespace

int install_filter(const Setup& s, bool listener) noexcept {
  sock_fprog program{static_cast<unsigned short>(s.filter.size()), const_cast<sock_filter*>(s.filter.data())};
  const long fd =
      ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, listener ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0UL, &program);
  if (fd < 0) {
    give_up(s, Step::Filter, "");
  }
  return static_cast<int>(fd);
}

void connect_streams(const Setup& s) noexcept {
  int streams[3] = {s.in, s.out, s.err};
  if (s.terminal) {
    const int master = ::open("/dev/pts/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
    int unlock = 0;
    if (master < 0 || ::ioctl(master, TIOCSPTLCK, &unlock) != 0) {
      give_up(s, Step::Terminal, "/dev/pts/ptmx");
    }
    const int slave = ::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (slave < 0 || ::setsid() < 0 || ::ioctl(slave, TIOCSCTTY, 0) != 0) {
      give_up(s, Step::Terminal, "/dev/pts/ptmx");
    }
    Record record;
    record.kind = RecordKind::Terminal;
    send_record(s, record, master);
    streams[0] = streams[1] = streams[2] = slave;
  } else if (s.new_session && ::setsid() < 0 && errno != EPERM) {
    give_up(s, Step::Terminal, "");
  }
  // The parent made sure that none of them is 0, 1 or 2, so no dup2 overwrites a later one.
  for (int i = 0; i < 3; ++i) {
    if (::dup2(streams[i], i) < 0) {
      give_up(s, Step::Streams, "");
    }
  }
  ::syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC);
}

void reset_signals() noexcept {
  struct sigaction normal{};
  normal.sa_handler = SIG_DFL;
  for (int signal = 1; signal < 65; ++signal) {
    ::sigaction(signal, &normal, nullptr);
  }
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
}

namespace {

/// Which of the places of argv[0] is there. Before the filter: a supervised filter may trap what looks files up.
const char* find_command(const Setup& s) noexcept {
  int err = ENOENT;
  for (const std::string& candidate : s.candidates) {
    struct stat st{};
    if (::stat(candidate.c_str(), &st) != 0) {
      continue;
    }
    if (S_ISDIR(st.st_mode) || ::access(candidate.c_str(), X_OK) != 0) {
      err = EACCES;
      continue;
    }
    return candidate.c_str();
  }
  errno = err;
  give_up(s, Step::Find, s.argv.front());
}

[[noreturn]] void become_command(const Setup& s, bool filter_installed) noexcept {
  connect_streams(s);
  ::umask(022);
  reset_signals();
  rlimit core{0, 0};
  ::setrlimit(RLIMIT_CORE, &core);
  if (s.max_processes != 0) {
    rlimit processes{s.max_processes, s.max_processes};
    ::setrlimit(RLIMIT_NPROC, &processes);
  }
  if (::chdir(s.cwd.c_str()) != 0) {
    give_up(s, Step::WorkingDirectory, s.cwd.c_str());
  }
  const char* program = find_command(s);
  if (!filter_installed && !s.filter.empty()) {
    const int listener = install_filter(s, s.listener);
    if (s.listener) {
      Record record;
      record.kind = RecordKind::Listener;
      send_record(s, record, listener);
    }
  }
  Record ready;
  ready.kind = RecordKind::Ready;
  send_record(s, ready, -1);
  ::execve(program, s.argv.data(), s.envp.data());
  give_up(s, Step::Exec, program);
}

/// Pid 1 inside while the command is not the image's own init: reaps, passes signals on, reports the command's end.
[[noreturn]] void reap(const Setup& s, pid_t command) noexcept {
  const int status_fd = ::dup2(s.status, 3);
  ::syscall(SYS_close_range, 4U, ~0U, 0U);
  for (int fd = 0; fd < 3; ++fd) {
    ::close(fd);  // a reader of the command's output must see its end even while we still live
  }
  // Another process of the same user inside must not get at us: we may run without the filter.
  ::prctl(PR_SET_DUMPABLE, 0);
  sigset_t all;
  ::sigfillset(&all);
  while (true) {
    siginfo_t info{};
    const int signal = ::sigwaitinfo(&all, &info);
    if (signal > 0 && signal != SIGCHLD) {
      ::kill(command, signal);
      continue;
    }
    int status = 0;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
      if (pid == command) {
        [[maybe_unused]] const auto n = ::write(status_fd, &status, sizeof status);
        ::_exit(0);  // the kernel kills whatever else runs in the pid namespace
      }
    }
  }
}

}  // namespace

void tie_to_parent(const Setup& s) noexcept {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  pollfd parent{s.report, 0, 0};
  if (::poll(&parent, 1, 0) > 0 && (parent.revents & (POLLHUP | POLLERR)) != 0) {
    ::_exit(127);
  }
}

void give_up(const Setup& s, Step step, const char* detail) noexcept {
  Record record;
  record.err = errno;
  record.step = step;
  std::strncpy(record.detail, detail, sizeof record.detail - 1);
  send_record(s, record, -1);
  ::_exit(127);
}

}  // namespace child

void run_child(const Setup& s) noexcept {
  using namespace child;
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  wait_for_go(s);
  // After the parent has put us into our cgroup, so that its root is what is seen inside.
  if (::unshare(CLONE_NEWCGROUP) != 0 && errno != EINVAL) {
    give_up(s, Step::CgroupNamespace, "");
  }
  take_ids(s);
  if (s.loopback) {
    bring_up_loopback(s);
  }
  if (::sethostname(s.hostname.c_str(), s.hostname.size()) != 0) {
    give_up(s, Step::Hostname, s.hostname.c_str());
  }
  build_root(s);
  tie_to_parent(s);
  drop_capabilities(s);
  if (s.direct) {
    become_command(s, false);
  }
  const bool filter_first = !s.listener && !s.filter.empty();
  if (filter_first) {
    install_filter(s, false);
  }
  // The raw call: fork() of libc would take locks.
  const long command = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0L);
  if (command < 0) {
    give_up(s, Step::Fork, "");
  }
  if (command == 0) {
    become_command(s, filter_first);
  }
  reap(s, static_cast<pid_t>(command));
}

void run_entered(const Setup& s) noexcept {
  using namespace child;
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  wait_for_go(s);
  // Nobody inside may get at us, and so at descriptors of the host, before exec has made us one of them.
  ::prctl(PR_SET_DUMPABLE, 0);
  constexpr int kAll =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWNET | CLONE_NEWCGROUP;
  if (::setns(s.enter, kAll) != 0 || ::syscall(SYS_setresgid, s.gid, s.gid, s.gid) != 0 ||
      ::syscall(SYS_setresuid, s.uid, s.uid, s.uid) != 0) {
    give_up(s, Step::Enter, "");
  }
  ::prctl(PR_SET_DUMPABLE, 0);
  tie_to_parent(s);
  drop_capabilities(s);
  if (!s.filter.empty()) {
    install_filter(s, false);
  }
  // The pid namespace is for children only, so the command is one; we stay outside and report its end.
  const long command = ::syscall(SYS_clone, SIGCHLD, nullptr, nullptr, nullptr, 0L);
  if (command < 0) {
    give_up(s, Step::Fork, "");
  }
  if (command == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    become_command(s, true);
  }
  reap(s, static_cast<pid_t>(command));
}

}  // namespace slip::launch
