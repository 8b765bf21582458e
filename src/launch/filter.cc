#include "launch/child.h"
#include "launch/ownership.h"

#include <fcntl.h>
#include <sched.h>
#include <seccomp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <string_view>

#include "os/file.h"

namespace slip::launch {
namespace {

using Context = std::unique_ptr<void, void (*)(scmp_filter_ctx)>;

/// Calls that administer the machine, reach other namespaces or have been ways out of sandboxes before.
constexpr const char* kRefused[] = {
    // mounts and roots
    "mount", "umount", "umount2", "open_tree", "move_mount", "fsopen", "fsconfig", "fsmount", "fspick", "mount_setattr",
    "pivot_root", "setns", "open_by_handle_at", "fanotify_init", "quotactl", "quotactl_fd", "swapon", "swapoff",
    "nfsservctl",
    // the kernel itself
    "init_module", "finit_module", "delete_module", "create_module", "query_module", "get_kernel_syms", "kexec_load",
    "kexec_file_load", "reboot", "bpf", "perf_event_open", "lookup_dcookie", "syslog", "_sysctl", "sysfs", "uselib",
    "ustat", "acct", "vhangup", "iopl", "ioperm", "vm86", "vm86old",
    // keys of the caller that no namespace separates
    "add_key", "keyctl", "request_key",
    // large surfaces that a workspace does not need
    "io_uring_setup", "io_uring_enter", "io_uring_register", "userfaultfd",
    // the clock of everybody
    "settimeofday", "stime", "clock_settime", "clock_settime64", "clock_adjtime", "clock_adjtime64"};

/// Younger than the library that compiles the filter; numbers from 424 on are the same everywhere.
constexpr int kRefusedNumbers[] = {467 /* open_tree_attr */};

constexpr std::uint64_t kNamespaceFlags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                             CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};

void check(int result, const char* what) {
  if (result < 0) {
    throw os::sys_error(-result, format("compile the system call filter: {}", what));
  }
}

template <class... Conditions>
void refuse(const Context& filter, const char* name, int err, Conditions... conditions) {
  const int number = seccomp_syscall_resolve_name(name);
  if (number == __NR_SCMP_ERROR) {
    return;  // this architecture or this release of the library does not know it
  }
  check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(static_cast<unsigned>(err) & 0xffffU), number,
                         sizeof...(conditions), conditions...),
        name);
}

scmp_arg_cmp bits(unsigned argument, std::uint64_t mask) {
  return scmp_arg_cmp{argument, SCMP_CMP_MASKED_EQ, mask, mask};
}

void refuse_namespaces(const Context& filter) {
  for (const std::uint64_t flag : kNamespaceFlags) {
#if defined(__s390x__)
    refuse(filter, "clone", EPERM, bits(1, flag));
#else
    refuse(filter, "clone", EPERM, bits(0, flag));
#endif
    refuse(filter, "unshare", EPERM, bits(0, flag));
  }
  refuse(filter, "unshare", EPERM, bits(0, 0x80 /* CLONE_NEWTIME */));
  refuse(filter, "clone3", ENOSYS);
}

/// Terminal calls that type into, or paste from, the caller's terminal; addresses of machines and hypervisors.
void refuse_escapes(const Context& filter) {
  for (const std::uint64_t request : {std::uint64_t{TIOCSTI}, std::uint64_t{TIOCLINUX}}) {
    // Drivers look at 32 bits only, so the upper half must not be a way round.
    refuse(filter, "ioctl", EPERM, scmp_arg_cmp{1, SCMP_CMP_MASKED_EQ, 0xffffffffU, request});
  }
  refuse(filter, "socket", EPERM, scmp_arg_cmp{0, SCMP_CMP_MASKED_EQ, 0xffffffffU, AF_VSOCK});
}

void refuse_set_id_files(const Context& filter) {
  struct Place {
    const char* name;
    unsigned argument;
  };
  constexpr Place kModes[] = {{"chmod", 1},   {"fchmod", 1}, {"fchmodat", 2}, {"mknod", 1},
                              {"mknodat", 2}, {"creat", 1},  {"open", 2},     {"openat", 3}};
  for (const std::uint64_t bit : {std::uint64_t{S_ISUID}, std::uint64_t{S_ISGID}}) {
    for (const Place& place : kModes) {
      if (std::string_view(place.name).starts_with("open")) {
        // Without O_CREAT the mode argument is not there and its register holds anything.
        refuse(filter, place.name, EPERM, bits(place.argument, bit), bits(place.argument - 1, O_CREAT));
      } else {
        refuse(filter, place.name, EPERM, bits(place.argument, bit));
      }
    }
    check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), 452 /* fchmodat2 */, 1, bits(2, bit)), "fchmodat2");
  }
  refuse(filter, "openat2", ENOSYS);  // its mode lies in memory, where no filter sees it
}

std::vector<sock_filter> export_program(const Context& filter) {
  const os::Fd file(
      static_cast<int>(os::call(::memfd_create, "filter", unsigned{MFD_CLOEXEC}).or_throw("make a file in memory")));
  check(seccomp_export_bpf(filter.get(), file.get()), "export");
  std::vector<sock_filter> program(os::file_size(file, "filter") / sizeof(sock_filter));
  os::call(::pread, file.get(), program.data(), program.size() * sizeof(sock_filter), off_t{0})
      .or_throw("read the filter");
  return program;
}

/// A filter with everything that no process of ours may do.
Context deny_list() {
  Context filter(seccomp_init(SCMP_ACT_ALLOW), [](scmp_filter_ctx c) { seccomp_release(c); });
  SLIP_CHECK(filter != nullptr);
  check(seccomp_attr_set(filter.get(), SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), "foreign architectures");
  // A balanced tree: the cost of a call does not grow with its place in the list.
  check(seccomp_attr_set(filter.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimise");
  for (const char* name : kRefused) {
    refuse(filter, name, EPERM);
  }
  for (const int number : kRefusedNumbers) {
    check(seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(EPERM), number, 0), "a call by number");
  }
  refuse_namespaces(filter);
  refuse_escapes(filter);
  return filter;
}

/// Calls about owners and ids: answered by the supervisor.
constexpr const char* kOwnership[] = {
    "chown",  "fchown", "lchown",   "fchownat", "stat",      "lstat",     "fstat",    "newfstatat", "statx",
    "setuid", "setgid", "setreuid", "setregid", "setresuid", "setresgid", "setfsuid", "setfsgid",   "setgroups",
    "getuid", "getgid", "geteuid",  "getegid",  "getresuid", "getresgid", "getgroups"};

}  // namespace

std::vector<sock_filter> workspace_filter(bool refuse_set_id) {
  const Context filter = deny_list();
  if (refuse_set_id) {
    refuse_set_id_files(filter);
  }
  return export_program(filter);
}

std::vector<sock_filter> ownership_filter() {
  const Context filter = deny_list();
  for (const char* name : kOwnership) {
    const int number = seccomp_syscall_resolve_name(name);
    if (number != __NR_SCMP_ERROR) {
      check(seccomp_rule_add(filter.get(), SCMP_ACT_NOTIFY, number, 0), name);
    }
  }
  return export_program(filter);
}

}  // namespace slip::launch
