#pragma once

#include <linux/filter.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "launch/native.h"
#include "launch/plan.h"
#include "launch/runtime.h"
#include "os/fd.h"
#include "os/process.h"

/// The one way in which a process tree gets its namespaces, mounts, ids, capabilities and system call filter;
/// run_native() and Sandbox both start through here.
namespace slip::launch {

/// What does not belong into the plan, because it is no part of what the person asked for.
struct ChildOptions {
  HostId id;
  Stdio stdio;
  /// The filter program to install just before exec; empty: the one of the plan's Filter (see workspace_filter()).
  /// It must let sendmsg, write, close_range, execve and exit pass, which happen after it is installed.
  std::vector<sock_filter> filter;
  /// Installs `filter` with SECCOMP_FILTER_FLAG_NEW_LISTENER; Child::listener() has the descriptor. Nothing inside runs
  /// a trapped call before start() has returned, but the command waits for ever if nobody answers afterwards.
  bool listener = false;
  /// A terminal of its own inside (devpts of the sandbox): stdio is the new terminal and terminal() its master.
  bool terminal = false;
  /// Has an OCI runtime perform the plan; argv is then pid 1 whatever the plan's `direct` says, and leads a session.
  std::optional<Runtime> runtime;
  /// Told the folders of our control groups before they are made: a process that is killed leaves them behind.
  std::function<void(const std::vector<std::string>&)> before_groups;
};

/// A started process tree. Destroying it kills everything inside.
///
/// Laws: user, mount, pid, ipc, uts and cgroup namespaces are always new, the network one unless Network::Host. The one
/// id inside (plan.uid, plan.gid) is options.id outside. Filter::Workspace: no capabilities at all. Filter::Build: the
/// capabilities a maintainer script may use (chown, dac_override, fowner, fsetid, kill, setgid, setuid, setpcap,
/// sys_chroot, mknod, setfcap, net_bind_service, audit_write), no sysfs, umask 022. no_new_privs always. plan.upper,
/// when given, is the persistent upper folder (work beside it, in the same folder); both are made when missing and
/// given to options.id. The command is no process group leader unless plan.new_session or options.terminal.
class RunningChild {
 public:
  /// Returns once the command has been exec'ed.
  /// Must be called by the thread that later waits: when that thread ends, everything inside is killed.
  /// @throws Error as run_native()
  static RunningChild start(const LaunchPlan& plan, const ChildOptions& options);

  /// Runs plan.argv with plan.env, plan.cwd and the ids of the plan in all namespaces and cgroups of the process
  /// `target`, with no capability and the filter of workspaces. Everything else of the plan is the target's already.
  static RunningChild enter(pid_t target, const LaunchPlan& plan, const ChildOptions& options);

  RunningChild(RunningChild&&) noexcept;
  RunningChild& operator=(RunningChild&&) = delete;
  RunningChild(const RunningChild&) = delete;
  RunningChild& operator=(const RunningChild&) = delete;
  ~RunningChild();

  /// Host pid of the process tree's pid 1.
  [[nodiscard]] pid_t pid() const noexcept;
  /// Readable (poll) once pid 1, and with it everything inside, has ended (and a runtime has cleaned up).
  [[nodiscard]] const os::Fd& pidfd() const noexcept;
  /// The seccomp notification descriptor; POLLHUP once no process uses the filter any more. Invalid unless asked for.
  [[nodiscard]] os::Fd& listener() noexcept;
  /// The master side of the terminal; invalid unless asked for.
  [[nodiscard]] os::Fd& terminal() noexcept;
  /// Sends a signal to the command (SIGKILL: to everything inside).
  void kill(int signal) const noexcept;
  /// The command's own end, once; whatever it left running inside is killed.
  os::ExitStatus wait();
  /// Groups that hold the tree: gone with this object, left behind only when we are killed.
  [[nodiscard]] std::vector<std::string> cgroups() const;
  /// Limits this host could not enforce, one sentence each.
  [[nodiscard]] const std::vector<std::string>& unmet() const noexcept;

 private:
  struct State;
  static RunningChild start_by_runtime(const LaunchPlan& plan, const ChildOptions& options);
  static RunningChild finish(const LaunchPlan& plan, std::unique_ptr<State> state, const os::Fd& report);
  explicit RunningChild(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

/// The deny list of workspaces and `run` as a BPF program; refused calls fail with EPERM (clone3: ENOSYS, so that libc
/// falls back to clone, whose flags a filter can see). Calls of a foreign architecture kill the process.
/// @param refuse_set_id  also refuse to make set-user-id and set-group-id files: where root's own folders are mounted
///                       writable, such a file would be root's on the host
std::vector<sock_filter> workspace_filter(bool refuse_set_id = false);

/// What of workspace_filter() an OCI runtime cannot be told, because bundles name calls and its library may be older
/// than a call: refused by number, and foreign architectures. The runtime itself runs under it, and what it starts
/// inherits it.
std::vector<sock_filter> inherited_filter(bool refuse_set_id);

}  // namespace slip::launch
