#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "core/suggest.h"
#include "core/text.h"
#include "launch/prepare.h"
#include "os/mount.h"

namespace slip::launch {
namespace {

namespace fs = std::filesystem;

/// Names of the programs in the image's PATH, for a suggestion. Links of the image are followed inside it only.
std::vector<std::string> programs_of(const LaunchPlan& plan) {
  std::vector<std::string> names;
  const os::Fd root(::open(plan.root.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  const auto path = plan.env.find("PATH");
  for (const auto folder : split(path == plan.env.end() ? "/usr/bin:/bin" : std::string_view(path->second), ':')) {
    open_how how{};
    how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
    how.resolve = RESOLVE_IN_ROOT;
    const os::Fd dir(
        static_cast<int>(::syscall(SYS_openat2, root.get(), std::string(folder).c_str(), &how, sizeof how)));
    if (!dir.valid()) {
      continue;
    }
    std::error_code none;
    for (fs::directory_iterator it(format("/proc/self/fd/{}", dir.get()), none), end; !none && it != end;
         it.increment(none)) {
      names.push_back(it->path().filename().string());
    }
  }
  return names;
}

Error command_error(const LaunchPlan& plan, const Record& record) {
  const std::string& name = plan.argv.front();
  if (record.err != ENOENT) {
    return Error(ErrorKind::Denied, "run `{}`: it is no program (its mode does not allow execution)", printable(name))
        .set_exit_status(kNotRunnable);
  }
  if (name.find('/') != std::string::npos) {
    return Error(ErrorKind::NotFound, "run `{}`: there is no such file in the image", printable(name))
        .set_exit_status(kNotThere);
  }
  Error error(ErrorKind::NotFound, "run `{}`: there is no such program in the image", printable(name));
  error.set_exit_status(kNotThere);
  if (const auto near = nearest(name, programs_of(plan))) {
    error.add_hint(format("did you mean `{}`?", *near));
  }
  return error;
}

/// What to do about a step that failed with this errno; empty: the text says it all.
std::string hint_for(Step step, int err) {
  if (err == ENOSPC && step != Step::Upper) {
    return "the kernel reports a limit, not a full disk: look at /proc/sys/fs/mount-max";
  }
  switch (step) {
    case Step::Overlay:
      if (err == EPERM || err == ENODEV || err == EINVAL) {
        return "overlays in user namespaces need Linux 5.11 or newer, and a writable layer on a local file system such "
               "as ext4, "
               "xfs or btrfs: set SLIPWAY_STATE to a folder on one";
      }
      break;
    case Step::Proc:
    case Step::Sys:
      if (err == EPERM) {
        return "this host hides parts of /proc (slipway runs inside a container): start that container with its /proc "
               "unmasked";
      }
      break;
    case Step::Lower:
    case Step::Upper:
    case Step::Mount:
      if (err == EINVAL) {
        return "a file system is mounted below this folder and cannot be split off: name a folder without mounts in it";
      }
      break;
    case Step::Exec:
      if (err == ENOENT) {
        return "the file is there, but the interpreter its first line or its ELF header names is missing in the image";
      }
      if (err == ENOEXEC) {
        return "a script needs a first line such as `#!/bin/sh`, a binary the image's architecture";
      }
      break;
    case Step::Filter: return "the kernel was built without CONFIG_SECCOMP_FILTER";
    case Step::MountTarget:
    case Step::Home:
    case Step::WorkingDirectory:
      if (err == EACCES || err == EPERM) {
        return "make the folder in the image, or choose one below the home folder";
      }
      break;
    case Step::Enter:
    case Step::Go:
    case Step::CgroupNamespace:
    case Step::Ids:
    case Step::Propagation:
    case Step::Loopback:
    case Step::Hostname:
    case Step::Base:
    case Step::Dev:
    case Step::Pts:
    case Step::Tmpfs:
    case Step::Mask:
    case Step::Pivot:
    case Step::ReadOnly:
    case Step::Terminal:
    case Step::NoNewPrivileges:
    case Step::Capabilities:
    case Step::Fork:
    case Step::Streams:
    case Step::Limits:
    case Step::Bundle:
    case Step::Container:
    case Step::Find: break;
  }
  return {};
}

}  // namespace

Error launch_error(const LaunchPlan& plan, const Record& record) {
  if (record.step == Step::Find) {
    return command_error(plan, record);
  }
  const char* detail = record.detail;
  std::string doing =
      *detail == '\0' ? std::string(text_of(record.step)) : format("{} `{}`", text_of(record.step), printable(detail));
  Error error = os::sys_error(record.err, std::move(doing));
  if (record.step == Step::Overlay && (record.err == EPERM || record.err == ENODEV || record.err == EINVAL)) {
    error = Error(ErrorKind::Unsupported, "{} `{}`", text_of(record.step), printable(detail))
                .add_cause(errno_text(record.err));
  }
  if (const std::string hint = hint_for(record.step, record.err); !hint.empty()) {
    error.add_hint(hint);
  }
  return error;
}

Error clone_error(int err) {
  Error error(ErrorKind::Unsupported, "make the namespaces of a workspace");
  error.add_cause(errno_text(err));
  const std::string hint = os::user_namespace_hint();
  if (!hint.empty()) {
    error.add_hint(hint);
  } else if (err == ENOSPC || err == EUSERS) {
    error.add_hint("too many namespaces exist, or they are nested too deeply: look at /proc/sys/user");
  } else if (err == EPERM) {
    error.add_hint(
        "user namespaces are refused here: inside a container its seccomp profile must allow them; inside a chroot "
        "they cannot be made");
  } else if (err == ENOSYS) {
    error.add_hint("slipway needs Linux 5.12 or newer");
  }
  return error;
}

}  // namespace slip::launch
