#include "os/mount.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/text.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::os {
namespace {

/// Files of /proc take their whole content in one write().
void write_proc(const std::string& path, const std::string& text) {
  const Fd fd(static_cast<int>(
      call([](const char* p) { return ::open(p, O_WRONLY | O_CLOEXEC); }, path.c_str()).or_throw("open `{}`", path)));
  call(::write, fd.get(), text.data(), text.size()).or_throw("write `{}` to `{}`", text, path);
}

}  // namespace

Fd clone_tree(const std::filesystem::path& path, bool recursive) {
  const unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (recursive ? unsigned{AT_RECURSIVE} : 0U);
  return Fd(static_cast<int>(call([&] {
                               return ::open_tree(AT_FDCWD, path.c_str(), flags);
                             }).or_throw("take a copy of the mount of `{}`", path.string())));
}

SysRet set_tree_attributes(const Fd& tree, std::uint64_t attributes, bool recursive, const Fd& userns) {
  mount_attr attr{};
  attr.attr_set = attributes | (userns.valid() ? MOUNT_ATTR_IDMAP : 0U);
  attr.userns_fd = userns.valid() ? static_cast<std::uint64_t>(userns.get()) : 0;
  const unsigned flags = unsigned{AT_EMPTY_PATH} | (recursive ? unsigned{AT_RECURSIVE} : 0U);
  return call([&] { return ::mount_setattr(tree.get(), "", flags, &attr, sizeof attr); });
}

void write_id_maps(pid_t pid, IdMap uid, IdMap gid) {
  const std::string proc = format("/proc/{}", pid);
  write_proc(proc + "/uid_map", format("{} {} 1", uid.inside, uid.outside));
  write_proc(proc + "/setgroups", "deny");
  write_proc(proc + "/gid_map", format("{} {} 1", gid.inside, gid.outside));
}

SysRet clone_process(std::uint64_t flags, int& pidfd) noexcept {
  int fd = -1;
  clone_args args{};
  args.flags = flags | CLONE_PIDFD;
  args.pidfd = reinterpret_cast<std::uint64_t>(&fd);
  args.exit_signal = SIGCHLD;
  const long pid = ::syscall(SYS_clone3, &args, sizeof args);
  if (pid < 0) {
    return {-1, errno};
  }
  pidfd = fd;
  return {pid, 0};
}

Fd make_user_namespace(IdMap uid, IdMap gid) {
  int pidfd = -1;
  const auto pid = static_cast<pid_t>(clone_process(CLONE_NEWUSER, pidfd).or_throw("make a user namespace"));
  if (pid == 0) {
    while (true) {
      ::pause();
    }
  }
  const Child child(pid, Fd(pidfd));
  write_id_maps(pid, uid, gid);
  return open_read(format("/proc/{}/ns/user", pid));
}

std::string user_namespace_hint() {
  const auto value = [](const char* path) {
    try {
      return std::string(trim(read_file_if_any(path, 64).value_or("")));
    } catch (const Error&) {
      return std::string();
    }
  };
  if (value("/proc/sys/user/max_user_namespaces") == "0") {
    return "user namespaces are off on this machine: as root, run `sysctl user.max_user_namespaces=15000`";
  }
  if (value("/proc/sys/kernel/unprivileged_userns_clone") == "0") {
    return "user namespaces are for root only on this machine: as root, run `sysctl "
           "kernel.unprivileged_userns_clone=1`";
  }
  if (value("/proc/sys/kernel/apparmor_restrict_unprivileged_userns") == "1") {
    return "AppArmor restricts user namespaces on this machine: as root, run "
           "`sysctl kernel.apparmor_restrict_unprivileged_userns=0`";
  }
  return {};
}

}  // namespace slip::os
