#include "launch/refusals.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <cerrno>

namespace slip::launch {
namespace {

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

/// Numbers from 424 on are the same on every architecture.
constexpr int kOpenTreeAttr = 467;
constexpr int kFchmodat2 = 452;

constexpr std::uint64_t kNamespaceFlags[] = {CLONE_NEWNS,   CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC,
                                             CLONE_NEWUSER, CLONE_NEWPID,    CLONE_NEWNET};
/// Drivers and socket() look at 32 bits only, so the upper half must not be a way round.
constexpr std::uint64_t kLow = 0xffffffffU;

Condition bits(unsigned argument, std::uint64_t mask) { return {argument, mask, mask}; }

class Table {
 public:
  void refuse(const char* name, int err, std::vector<Condition> conditions = {}) {
    all.push_back({name, -1, err, std::move(conditions)});
  }
  void refuse_number(int number, std::vector<Condition> conditions = {}) {
    all.push_back({"", number, EPERM, std::move(conditions)});
  }

  void namespaces() {
#if defined(__s390x__)
    constexpr unsigned kFlags = 1;
#else
    constexpr unsigned kFlags = 0;
#endif
    for (const std::uint64_t flag : kNamespaceFlags) {
      refuse("clone", EPERM, {bits(kFlags, flag)});
      refuse("unshare", EPERM, {bits(0, flag)});
    }
    refuse("unshare", EPERM, {bits(0, 0x80 /* CLONE_NEWTIME */)});
    // Its flags lie in memory, where no filter sees them; libc falls back to clone.
    refuse("clone3", ENOSYS);
  }

  /// Terminal calls that type into, or paste from, the caller's terminal; addresses of machines and hypervisors.
  void escapes() {
    for (const std::uint64_t request : {std::uint64_t{TIOCSTI}, std::uint64_t{TIOCLINUX}}) {
      refuse("ioctl", EPERM, {{1, kLow, request}});
    }
    refuse("socket", EPERM, {{0, kLow, AF_VSOCK}});
  }

  void set_id_files() {
    struct Place {
      const char* name;
      unsigned argument;
      bool with_flags;  ///< without O_CREAT the mode argument is not there and its register holds anything
    };
    constexpr Place kModes[] = {{"chmod", 1, false}, {"fchmod", 1, false},  {"fchmodat", 2, false},
                                {"mknod", 1, false}, {"mknodat", 2, false}, {"creat", 1, false},
                                {"open", 2, true},   {"openat", 3, true}};
    for (const std::uint64_t bit : {std::uint64_t{S_ISUID}, std::uint64_t{S_ISGID}}) {
      for (const Place& place : kModes) {
        std::vector<Condition> conditions = {bits(place.argument, bit)};
        if (place.with_flags) {
          conditions.push_back(bits(place.argument - 1, O_CREAT));
        }
        refuse(place.name, EPERM, std::move(conditions));
      }
      refuse_number(kFchmodat2, {bits(2, bit)});
    }
    refuse("openat2", ENOSYS);  // its mode lies in memory
  }

  std::vector<Refusal> all;
};

}  // namespace

std::vector<Refusal> workspace_refusals(bool refuse_set_id) {
  Table table;
  for (const char* name : kRefused) {
    table.refuse(name, EPERM);
  }
  table.refuse_number(kOpenTreeAttr);
  table.namespaces();
  table.escapes();
  if (refuse_set_id) {
    table.set_id_files();
  }
  return std::move(table.all);
}

}  // namespace slip::launch
