#include "launch/enter_net.h"

#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "core/error.h"
#include "os/mount.h"

namespace slip::launch {
namespace {

void keep_only(std::vector<int> keep) {
  std::sort(keep.begin(), keep.end());
  unsigned from = 3;
  for (const int fd : keep) {
    if (fd >= static_cast<int>(from)) {
      if (fd > static_cast<int>(from)) {
        ::syscall(SYS_close_range, from, static_cast<unsigned>(fd) - 1, 0U);
      }
      from = static_cast<unsigned>(fd) + 1;
    }
  }
  ::syscall(SYS_close_range, from, ~0U, 0U);
}

[[noreturn]] void live(pid_t parent, const std::vector<int>& keep, const std::function<void()>& body) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (::getppid() != parent) {
    ::_exit(1);
  }
  keep_only(keep);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  // A Ctrl-C at the terminal of a foreground workspace is for the workspace; we go when it has gone.
  ::signal(SIGINT, SIG_IGN);
  ::signal(SIGPIPE, SIG_IGN);
  try {
    body();
  } catch (const std::exception& e) {
    ::dprintf(2, "%s\n", e.what());
    ::_exit(1);
  }
  ::_exit(0);
}

}  // namespace

os::Child start_companion(const std::vector<int>& keep, const std::function<void()>& body) {
  const pid_t parent = ::getpid();
  int pidfd = -1;
  const os::SysRet cloned = os::clone_process(0, pidfd);
  if (cloned && cloned.value == 0) {
    live(parent, keep, body);
  }
  return {static_cast<pid_t>(cloned.or_throw("start a process")), os::Fd(pidfd)};
}

void enter_network(pid_t target) {
  const os::Fd process(static_cast<int>(
      os::call([target] { return ::syscall(SYS_pidfd_open, target, 0U); }).or_throw("open process {}", target)));
  const int kinds = ::geteuid() == 0 ? CLONE_NEWNET : CLONE_NEWUSER | CLONE_NEWNET;
  os::call(::setns, process.get(), kinds).or_throw("enter the network of process {}", target);
}

void drop_everything(const HostId& id) {
  if (::geteuid() == 0 && id.uid != OuterId{0}) {
    const auto uid = static_cast<uid_t>(id.uid);
    const auto gid = static_cast<gid_t>(id.gid);
    os::call(::setgroups, std::size_t{0}, static_cast<const gid_t*>(nullptr)).or_throw("give up root's groups");
    os::call(::setresgid, gid, gid, gid).or_throw("become group {}", gid);
    os::call(::setresuid, uid, uid, uid).or_throw("become user {}", uid);
    // Changing the user clears the signal for the parent's death.
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  }
  os::call([] { return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); }).or_throw("give up new privileges");
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[2] = {};
  os::call([&] { return ::syscall(SYS_capset, &header, data); }).or_throw("give up capabilities");
}

}  // namespace slip::launch
