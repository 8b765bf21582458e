#include "inspect/doctor.h"

#include <fcntl.h>
#include <linux/mount.h>
#include <sched.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>

#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "deb/release.h"
#include "deb/version.h"
#include "gpu/driver.h"
#include "os/cgroup.h"
#include "os/file.h"
#include "os/mount.h"
#include "os/process.h"
#include "workspace/inspect.h"
#include "workspace/monitor.h"

namespace slip::inspect {
namespace {

namespace fs = std::filesystem;

bool is_there(const fs::path& path) {
  std::error_code none;
  return fs::exists(path, none);
}

std::string first_line(const fs::path& file) {
  try {
    const std::string text = os::read_file_if_any(file, 1 << 20).value_or("");
    return std::string(trim(text.substr(0, text.find('\n'))));
  } catch (const Error&) {
    return {};
  }
}

/// Runs `body` in a process of its own with new namespaces; its errno, or that of making them.
template <class Body>
int errno_inside(std::uint64_t flags, Body body) {
  int pidfd = -1;
  const os::SysRet made = os::clone_process(flags, pidfd);
  if (!made) {
    return made.err;
  }
  if (made.value == 0) {
    ::_exit(body());
  }
  os::Child child(static_cast<pid_t>(made.value), os::Fd(pidfd));
  return child.wait().code;
}

Finding check_namespaces() {
  const std::string title = "an ordinary process can make namespaces of its own";
  constexpr std::uint64_t kAll =
      CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
  if (const int error = errno_inside(kAll, [] { return 0; }); error != 0) {
    std::string hint = os::user_namespace_hint();
    return amiss("namespaces", title, errno_text(error), "user, mount, pid, network, ipc and uts namespaces",
                 hint.empty() ? "allow unprivileged user namespaces, or run slipway as root" : hint);
  }
  return fine("namespaces", title, "user, mount, pid, network, ipc, uts");
}

Finding check_overlay() {
  const std::string title = "overlays can be mounted inside";
  const int error = errno_inside(CLONE_NEWUSER | CLONE_NEWNS,
                                 [] { return ::syscall(SYS_fsopen, "overlay", FSOPEN_CLOEXEC) < 0 ? errno : 0; });
  if (error != 0) {
    return amiss("overlay", title, errno_text(error), "overlayfs from Linux 5.11 on",
                 "load it as root with `modprobe overlay`, and name it in /etc/modules");
  }
  return fine("overlay", title, "overlayfs in a user namespace");
}

Finding check_seccomp() {
  const std::string title = "system calls can be filtered and answered";
  const std::string actions = first_line("/proc/sys/kernel/seccomp/actions_avail");
  if (actions.find("user_notif") == std::string::npos) {
    return amiss("seccomp", title, actions.empty() ? "no seccomp" : actions, "user_notif among the actions",
                 "use a kernel with CONFIG_SECCOMP_FILTER, 5.0 or newer");
  }
  return fine("seccomp", title, "user_notif");
}

Finding check_cgroups() {
  const std::string title = "memory, CPUs and processes of a workspace can be limited";
  try {
    const os::CgroupMounts mounts = os::find_cgroups(os::read_file("/proc/self/mountinfo"));
    const os::Cgroup group(mounts, os::read_file("/proc/self/cgroup"), format("slipway-doctor-{}", ::getpid()),
                           {64u << 20, 1.0, 64});
    if (group.unmet().empty()) {
      return fine("cgroups", title, mounts.layout());
    }
    return excepted(
        "cgroups", title, join(group.unmet(), "; "), "a group of our own",
        "limits of a spec are reported here, not enforced; start slipway in a session that systemd delegates "
        "controllers to (`systemd-run --user --scope -p Delegate=yes`)");
  } catch (const Error& error) {
    return excepted("cgroups", title, error.joined(), "a group of our own", "limits are reported, not enforced");
  }
}

Finding check_tools() {
  const std::string title = "the tools that slipway calls are there";
  struct Tool {
    const char* program;
    const char* package;
  };
  constexpr Tool kTools[] = {{"gpgv", "gpgv"}, {"ssh", "openssh-client"}};
  std::vector<std::string> missing;
  std::vector<std::string> packages;
  const char* path = std::getenv("PATH");
  for (const Tool& tool : kTools) {
    const auto folders = split(path == nullptr ? "/usr/bin:/bin" : path, ':');
    const bool there = std::ranges::any_of(folders, [&](std::string_view folder) {
      return ::access((fs::path(folder) / tool.program).c_str(), X_OK) == 0;
    });
    if (!there) {
      missing.emplace_back(tool.program);
      packages.emplace_back(tool.package);
    }
  }
  if (!is_there("/usr/share/keyrings/debian-archive-keyring.gpg")) {
    missing.emplace_back("Debian's keyring");
    packages.emplace_back("debian-archive-keyring");
  }
  return missing.empty() ? fine("tools", title, "gpgv, ssh, Debian's keyring")
                         : amiss("tools", title, join(missing, ", ") + " missing", "gpgv, ssh, Debian's keyring",
                                 "apt-get install " + join(packages, " "));
}

Finding check_init(const fs::path& init) {
  const std::string title = "slipway-init lies beside slipway";
  return ::access(init.c_str(), X_OK) == 0
             ? fine("init", title, init.string())
             : amiss("init", title, "no `" + init.string() + "`", "the program of the same release",
                     "install slipway and slipway-init into the same folder");
}

/// The folder, or the nearest one above it that is there.
fs::path existing(fs::path path) {
  while (!is_there(path) && path.has_parent_path() && path != path.parent_path()) {
    path = path.parent_path();
  }
  return path;
}

Finding check_disk(const fs::path& store) {
  struct statvfs fs{};
  const std::filesystem::path place = existing(store);
  if (::statvfs(place.c_str(), &fs) != 0) {
    return amiss("disk", "there is room for images", errno_text(errno), "a folder for the store",
                 "set `store` in config.toml");
  }
  return check_space(fs.f_bavail * fs.f_frsize, fs.f_favail, place.string());
}

Finding check_store(const DoctorInput& input) {
  const std::string title = "the store holds nothing unfinished of killed processes";
  const fs::path& store = input.config.dirs.store;
  if (!is_there(store / "index.db")) {
    return fine("store", title, "no store yet at " + store.string());
  }
  const std::vector<std::string> left = abandoned(store, input.now);
  if (!left.empty()) {
    return amiss("store", title, counted(left.size(), "leftover") + ": " + left.front(), "none",
                 "run `slipway gc`, which removes them");
  }
  return fine("store", title, store.string());
}

Finding check_state(const os::HostDirs& dirs) {
  const std::string title = "no workspace was killed and left behind";
  std::vector<std::string> bad;
  std::size_t all = 0;
  for (const std::string& name : workspace::workspace_names(dirs)) {
    ++all;
    const workspace::Folder folder = workspace::folder_of(dirs, name);
    const auto status = workspace::load_status(folder);
    if (!status || workspace::is_alive(folder)) {
      continue;
    }
    const bool groups = std::ranges::any_of(status->cgroups, [](const std::string& group) { return is_there(group); });
    if (status->running || groups) {
      bad.push_back(name);
    }
  }
  return bad.empty() ? fine("state", title, counted(all, "workspace"))
                     : amiss("state", title, join(bad, ", "), "workspaces that run or were stopped",
                             "run `slipway up` or `slipway down` for each");
}

struct Asked {
  Finding finding;
  std::string date;  ///< of the answer
};

Asked ask(const std::string& alias, const std::vector<std::string>& urls, const std::string& tail, http::Client& http) {
  const std::string id = "source " + alias;
  const std::string title = format("the source `{}` answers", alias);
  std::string why = "no address";
  for (const std::string& base : urls) {
    try {
      const http::Response response = http.get(base + tail, {}, 256u << 20);
      if (response.status == 200) {
        const auto date = response.headers.find("date");
        return {fine(id, title, http::redact(base)), date == response.headers.end() ? "" : date->second};
      }
      why = http::status_error(response).joined();
    } catch (const Error& error) {
      why = error.joined();
    }
  }
  return {
      amiss(id, title, why, "an answer", format("check `sources.{}` with `slipway config`, proxies and CAs", alias)),
      {}};
}

std::vector<Finding> check_sources(const DoctorInput& input) {
  std::vector<Finding> findings;
  std::string date;
  const auto add = [&](Asked asked) {
    date = date.empty() ? asked.date : date;
    findings.push_back(std::move(asked.finding));
  };
  for (const auto& [alias, urls] : input.config.sources.debian) {
    const std::string suite = alias == "debian-security" ? input.release + "-security" : input.release;
    add(ask(alias, urls, "/dists/" + suite + "/InRelease", *input.http));
  }
  for (const auto& [alias, urls] : input.config.sources.python) {
    add(ask(alias, urls, "/pip/", *input.http));
  }
  for (const char* needed : {"debian", "debian-security"}) {
    if (!input.config.sources.debian.contains(needed)) {
      findings.push_back(amiss(format("source {}", needed), format("the source `{}` is known", needed),
                               "not configured", "an address", format("set `sources.{}` in config.toml", needed)));
    }
  }
  findings.push_back(date.empty() ? excepted("clock", "this machine's clock is right", "not compared",
                                             "a server's clock", "no source told the time")
                                  : check_clock(date, input.now));
  return findings;
}

}  // namespace

Finding check_kernel(std::string_view release) {
  const std::string title = "the kernel is new enough";
  const bool good = deb::compare_versions(release, "5.11") >= 0;
  return good ? fine("kernel", title, std::string(release))
              : amiss("kernel", title, std::string(release), "Linux 5.11 or newer",
                      "take a newer kernel: bullseye-backports or any later Debian has one");
}

Finding check_clock(std::string_view date, std::int64_t now) {
  constexpr std::int64_t kTolerance = 300;
  const std::string title = "this machine's clock is right";
  std::string text(date);
  if (text.ends_with(" GMT")) {
    text = text.substr(0, text.size() - 3) + "UTC";
  }
  const auto theirs = deb::parse_date(text);
  if (!theirs) {
    return excepted("clock", title, "not compared", "a server's clock", "no source told the time");
  }
  const std::int64_t off = now - *theirs;
  if (std::abs(off) > kTolerance) {
    return amiss("clock", title, format("{} s {} a source's clock", std::abs(off), off < 0 ? "behind" : "ahead of"),
                 "at most 300 s apart", "set it, for example with `timedatectl set-ntp true`: signatures have dates");
  }
  return fine("clock", title, format("{} s apart", std::abs(off)));
}

Finding check_space(std::uint64_t free_bytes, std::uint64_t free_nodes, const std::string& place) {
  constexpr std::uint64_t kBytes = 10'000'000'000;
  constexpr std::uint64_t kNodes = 200'000;
  const std::string title = "there is room for images";
  const std::string found = format("{} and {} files free at {}", human_size(free_bytes), free_nodes, place);
  // Some file systems count no nodes.
  if (free_bytes < kBytes || (free_nodes != 0 && free_nodes < kNodes)) {
    return amiss("disk", title, found, "10 GB and 200000 files", "run `slipway gc`, or set `store` in config.toml");
  }
  return fine("disk", title, found);
}

std::vector<std::string> abandoned(const fs::path& store, std::int64_t now) {
  constexpr std::int64_t kYoung = 60;
  std::vector<std::string> left;
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(store / "tmp", none)) {
    struct stat st{};
    if (::lstat(entry.path().c_str(), &st) != 0 || now - st.st_mtime < kYoung) {
      continue;
    }
    const os::Fd fd(::open(entry.path().c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    if (fd.valid() && ::flock(fd.get(), LOCK_SH | LOCK_NB) == 0) {
      left.push_back("tmp/" + entry.path().filename().string());
    }
  }
  std::ranges::sort(left);
  return left;
}

std::vector<Finding> check_gpu(const fs::path& root) {
  const std::string title = "NVIDIA GPUs can be used";
  const auto loaded = gpu::find_driver(root);
  if (!loaded) {
    return {fine("gpu", title, "no NVIDIA driver is loaded: images run on the CPU")};
  }
  const std::string& driver = loaded->version;
  std::vector<std::string> models;
  for (const gpu::Gpu& gpu : loaded->gpus) {
    models.push_back(gpu.model);
  }
  std::vector<Finding> findings;
  findings.push_back(
      !gpu::is_older(driver, gpu::oldest_driver_for("11"))
          ? fine("gpu", title, format("driver {}, {}", driver, models.empty() ? "no GPU" : join(models, ", ")))
          : amiss("gpu", title, "driver " + driver, "450.80.02 or newer, which CUDA 11 needs",
                  "install a newer NVIDIA driver"));
  std::vector<std::string> missing;
  std::vector<std::string> closed;
  for (const char* node : {"dev/nvidiactl", "dev/nvidia-uvm"}) {
    if (!is_there(root / node)) {
      missing.emplace_back(std::string("/") + node);
    } else if (!gpu::may_open(root / node)) {
      closed.emplace_back(std::string("/") + node);
    }
  }
  const std::string nodes = "the GPU's device nodes are there";
  findings.push_back(missing.empty() ? fine("gpu nodes", nodes, "nvidiactl, nvidia-uvm")
                                     : amiss("gpu nodes", nodes, join(missing, ", ") + " missing", "both",
                                             "run `nvidia-modprobe -c0 -u` as root"));
  if (!closed.empty()) {
    findings.push_back(amiss("gpu access", "a workspace may open them", join(closed, ", ") + " closed to its user",
                             "both for reading and writing", "join the group that owns them"));
  }
  const std::string library = "libcuda.so." + driver;
  const auto folder = gpu::driver_folder(*loaded, root);
  const std::string matches = "the driver's library is of the same version";
  findings.push_back(folder ? fine("gpu library", matches, format("/{}/{}", folder->string(), library))
                            : amiss("gpu library", matches, "no " + library, "the library of the loaded driver",
                                    "install it (libcuda1), or reboot after an update of the driver"));
  const bool hopper = std::ranges::any_of(models, [](const std::string& m) {
    return m.find("H100") != std::string::npos || m.find("H200") != std::string::npos;
  });
  if (hopper) {
    findings.push_back(
        excepted("gpu age", "the GPU is known to CUDA 11.2", "Hopper (sm_90)", "sm_86 or older",
                 "kernels of CUDA 11.2 images are compiled at their first start, which takes minutes; keep "
                 "CUDA_CACHE_PATH on a mount that stays"));
  }
  return findings;
}

std::vector<Finding> examine(const DoctorInput& input) {
  struct utsname system{};
  ::uname(&system);
  std::vector<Finding> findings = {check_kernel(system.release),
                                   check_namespaces(),
                                   check_overlay(),
                                   check_seccomp(),
                                   check_cgroups(),
                                   check_tools(),
                                   check_init(input.init),
                                   check_disk(input.config.dirs.store),
                                   check_store(input),
                                   check_state(input.config.dirs)};
  if (input.http != nullptr) {
    for (Finding& finding : check_sources(input)) {
      findings.push_back(std::move(finding));
    }
  }
  for (Finding& finding : check_gpu("/")) {
    findings.push_back(std::move(finding));
  }
  return findings;
}

}  // namespace slip::inspect
