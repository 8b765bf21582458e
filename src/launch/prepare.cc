#include "launch/prepare.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <map>

#include "core/text.h"
#include "os/file.h"
#include "os/mount.h"

namespace slip::launch {
namespace {

namespace fs = std::filesystem;

void check_inner_path(const std::string& path, const char* what) {
  const auto parts = split(path, '/');
  if (!path.starts_with('/') || path.size() >= PATH_MAX || path.find('\0') != std::string::npos ||
      std::find(parts.begin(), parts.end(), "..") != parts.end()) {
    throw Error(ErrorKind::Invalid, "{} `{}` must be an absolute path without `..`", what, printable(path));
  }
}

void check_plan(const LaunchPlan& plan, const ChildOptions& options) {
  if (plan.argv.empty() || plan.argv.front().empty()) {
    throw Error(ErrorKind::Invalid, "there is no command to run");
  }
  check_inner_path(plan.cwd, "working folder");
  for (const HostFile& file : plan.host_files) {
    check_inner_path(file.target, "place of a host file");
  }
  for (const Mount& m : plan.mounts) {
    check_inner_path(m.target, "mount target");
    if (m.target.find_first_not_of('/') == std::string::npos) {
      throw Error(ErrorKind::Invalid, "`{}` cannot be mounted over the whole image", m.source.string());
    }
  }
  if (!plan.home.empty()) {
    check_inner_path(plan.home, "home");
  }
  if (::geteuid() == 0 && (options.id.uid == OuterId{0} || options.id.gid == OuterId{0})) {
    throw Error(ErrorKind::Invalid, "root's workspaces must not run as root on the host")
        .add_hint("set `root_host_id` in slipway's configuration to an id nobody uses");
  }
  if (plan.upper.empty() != plan.work.empty() || plan.upper.parent_path() != plan.work.parent_path()) {
    throw Error(ErrorKind::Invalid, "the writable layer `{}` and its work folder `{}` must lie side by side",
                plan.upper.string(), plan.work.string());
  }
}

/// Makes, for root, copies of host mounts that the child's user could not reach, shown with the right owner.
class Trees {
 public:
  Trees(Prepared& prepared, const HostId& id) : prepared_(prepared), id_(id), root_(::geteuid() == 0) {}

  /// As the files are: for trees that belong to the id already.
  void plain(Bind& bind, const fs::path& source) {
    bind.source = source.string();
    bind.recursive = false;
    if (root_) {
      hold(bind, os::clone_tree(source, false));
    } else if (::access(source.c_str(), F_OK) != 0) {
      throw os::sys_error(errno, format("open `{}`", source.string()));
    }
  }

  /// A folder of the person's: its owner outside is the one id inside.
  void mapped(Bind& bind, const fs::path& source) {
    bind.source = source.string();
    struct stat st{};
    os::call(::stat, source.c_str(), &st).or_throw("mount `{}` at `{}`", source.string(), bind.target);
    if (!root_) {
      return;
    }
    os::Fd tree = os::clone_tree(source, true);
    if (st.st_uid != static_cast<uid_t>(id_.uid) || st.st_gid != static_cast<gid_t>(id_.gid)) {
      const os::SysRet r = os::set_tree_attributes(tree, 0, true, namespace_for(st.st_uid, st.st_gid));
      if (!r) {
        prepared_.unmet.push_back(
            format("the files of `{}` keep their owners inside and may be refused there: its file system knows no "
                   "idmapped mounts ({})",
                   source.string(), errno_text(r.err)));
      }
    }
    hold(bind, std::move(tree));
  }

  void layers(Setup& setup, const LaunchPlan& plan) {
    if (plan.upper.empty()) {
      setup.upper = "upper";
      setup.work = "work";
      return;
    }
    for (const fs::path& folder : {plan.upper, plan.work}) {
      os::make_dirs(folder, 0755);
      if (root_) {
        os::call(::chown, folder.c_str(), static_cast<uid_t>(id_.uid), static_cast<gid_t>(id_.gid))
            .or_throw("give `{}` to the workspace's user", folder.string());
      }
    }
    plain(setup.state, plan.upper.parent_path());
    setup.upper = plan.upper.filename().string();
    setup.work = plan.work.filename().string();
    if (root_) {
      // Opened here because the folder that holds them may be closed to everybody but root.
      setup.upper_fd = open_in(setup.state.tree, setup.upper);
      setup.work_fd = open_in(setup.state.tree, setup.work);
    }
  }

 private:
  void hold(Bind& bind, os::Fd tree) {
    bind.tree = tree.get();
    prepared_.held.push_back(std::move(tree));
  }

  int open_in(int tree, const std::string& name) {
    constexpr int kFlags = O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
    prepared_.held.emplace_back(
        static_cast<int>(os::call([&] { return ::openat(tree, name.c_str(), kFlags); }).or_throw("open `{}`", name)));
    return prepared_.held.back().get();
  }

  const os::Fd& namespace_for(uid_t uid, gid_t gid) {
    auto& made = namespaces_[{uid, gid}];
    if (!made.valid()) {
      made = os::make_user_namespace({uid, static_cast<std::uint32_t>(id_.uid)},
                                     {gid, static_cast<std::uint32_t>(id_.gid)});
    }
    return made;
  }

  Prepared& prepared_;
  HostId id_;
  bool root_;
  std::map<std::pair<uid_t, gid_t>, os::Fd> namespaces_;
};

void add_command(Setup& setup, const LaunchPlan& plan) {
  setup.argv_text = plan.argv;
  for (std::string& arg : setup.argv_text) {
    setup.argv.push_back(arg.data());
  }
  setup.argv.push_back(nullptr);
  for (const auto& [key, value] : plan.env) {
    setup.env_text.push_back(key + "=" + value);
  }
  for (std::string& text : setup.env_text) {
    setup.envp.push_back(text.data());
  }
  setup.envp.push_back(nullptr);
  const std::string& name = plan.argv.front();
  if (name.find('/') != std::string::npos) {
    setup.candidates = {name};
    return;
  }
  const auto path = plan.env.find("PATH");
  for (const auto folder :
       split(path == plan.env.end() ? "/usr/local/bin:/usr/bin:/bin" : std::string_view(path->second), ':')) {
    setup.candidates.push_back(format("{}/{}", folder.empty() ? "." : folder, name));
  }
}

void add_streams(Prepared& prepared, const Stdio& stdio) {
  const auto above_streams = [&](int fd) {
    os::Fd null;
    if (fd < 0) {
      null = os::Fd(static_cast<int>(
          os::call([] { return ::open("/dev/null", O_RDWR | O_CLOEXEC); }).or_throw("open `/dev/null`")));
      fd = null.get();
    }
    prepared.held.emplace_back(
        static_cast<int>(os::call([fd] { return ::fcntl(fd, F_DUPFD_CLOEXEC, 3); }).or_throw("duplicate a stream")));
    return prepared.held.back().get();
  };
  prepared.setup.in = above_streams(stdio.in);
  prepared.setup.out = above_streams(stdio.out);
  prepared.setup.err = above_streams(stdio.err);
}

void add_sizes(Setup& setup, const Limits& limits) {
  if (limits.memory_bytes) {
    setup.tmpfs_size = format("{}", *limits.memory_bytes);
  }
  setup.shm_size = format("{}", shm_size(limits));
}

}  // namespace

std::uint64_t shm_size(const Limits& limits) {
  const auto half =
      static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES)) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 2;
  return limits.shm_bytes.value_or(std::min(half, limits.memory_bytes.value_or(half)));
}

Prepared prepare_entered(const LaunchPlan& plan, const ChildOptions& options) {
  Prepared prepared;
  Setup& setup = prepared.setup;
  setup.uid = static_cast<std::uint32_t>(plan.uid);
  setup.gid = static_cast<std::uint32_t>(plan.gid);
  setup.terminal = options.terminal;
  setup.cwd = plan.cwd;
  add_command(setup, plan);
  add_streams(prepared, options.stdio);
  setup.filter = workspace_filter(::geteuid() == 0);
  return prepared;
}

Prepared prepare(const LaunchPlan& plan, const ChildOptions& options) {
  check_plan(plan, options);
  Prepared prepared;
  Setup& setup = prepared.setup;
  setup.uid = static_cast<std::uint32_t>(plan.uid);
  setup.gid = static_cast<std::uint32_t>(plan.gid);
  setup.loopback = plan.network == Network::None;
  setup.build = plan.filter == Filter::Build;
  setup.writable_root = plan.writable_root;
  setup.new_session = plan.new_session;
  setup.terminal = options.terminal;
  setup.direct = plan.direct;
  setup.listener = options.listener;
  setup.hostname = plan.hostname;
  setup.cwd = plan.cwd;
  add_command(setup, plan);
  add_sizes(setup, plan.limits);
  add_streams(prepared, options.stdio);

  Trees trees(prepared, options.id);
  trees.plain(setup.lower, plan.root);
  trees.layers(setup, plan);
  bool writable_mount = false;
  const auto add_bind = [&](const fs::path& source, const std::string& target, bool read_only) {
    Bind bind;
    bind.target = target;
    bind.read_only = read_only;
    trees.mapped(bind, source);
    setup.binds.push_back(std::move(bind));
    writable_mount = writable_mount || !read_only;
  };
  if (!plan.home.empty() && plan.home_source.empty()) {
    setup.writable.push_back(plan.home);
  } else if (!plan.home.empty()) {
    add_bind(plan.home_source, plan.home, false);
  }
  setup.writable.insert(setup.writable.end(), plan.writable.begin(), plan.writable.end());
  for (const Mount& m : plan.mounts) {
    add_bind(m.source, m.target, m.read_only);
  }
  for (const HostFile& file : plan.host_files) {
    Bind bind;
    bind.target = file.target;
    bind.read_only = !file.device;
    bind.device = file.device;
    trees.plain(bind, file.source);
    setup.binds.push_back(std::move(bind));
  }
  std::stable_sort(setup.binds.begin(), setup.binds.end());
  setup.filter = !options.filter.empty() ? options.filter : workspace_filter(writable_mount && ::geteuid() == 0);
  return prepared;
}

}  // namespace slip::launch
