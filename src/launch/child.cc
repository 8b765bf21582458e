#include "launch/child.h"

#include <fcntl.h>
#include <grp.h>
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "launch/prepare.h"
#include "launch/runtime_setup.h"
#include "os/cgroup.h"
#include "os/file.h"
#include "os/mount.h"

namespace slip::launch {

struct RunningChild::State {
  os::Cgroup cgroup;  // outlives the process below, so that it is empty when it goes
  os::Child child;
  os::Fd status;
  os::Fd listener;
  os::Fd terminal;
  std::vector<std::string> unmet;
  // Of an OCI runtime: `child` is the process around it.
  std::optional<Runtime> runtime;
  os::Fd init;                      ///< pidfd of pid 1 inside
  pid_t init_pid = -1;              ///< on the host
  std::vector<std::string> groups;  ///< that the runtime made

  State(os::Cgroup its_cgroup, os::Child its_child, os::Fd its_status, std::vector<std::string> its_unmet)
      : cgroup(std::move(its_cgroup)),
        child(std::move(its_child)),
        status(std::move(its_status)),
        unmet(std::move(its_unmet)) {}
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (init.valid() && child.pid() > 0) {
      // The process around it then has the runtime clean up, and ends.
      ::syscall(SYS_pidfd_send_signal, init.get(), SIGKILL, nullptr, 0);
      try {
        (void)child.wait();
      } catch (const Error&) {
      }
    }
  }
};

namespace {

struct Ends {
  os::Fd ours;
  os::Fd theirs;
};

/// Descriptors of the child must not be 0–2, where its standard streams go.
os::Fd above_streams(int fd) {
  os::Fd low(fd);
  if (fd > 2) {
    return low;
  }
  return os::Fd(
      static_cast<int>(os::call([fd] { return ::fcntl(fd, F_DUPFD_CLOEXEC, 3); }).or_throw("duplicate a descriptor")));
}

Ends make_pipe(bool we_write) {
  int ends[2];
  os::call(::pipe2, static_cast<int*>(ends), O_CLOEXEC).or_throw("make a pipe");
  os::Fd first = above_streams(ends[0]);
  os::Fd second = above_streams(ends[1]);
  return we_write ? Ends{std::move(second), std::move(first)} : Ends{std::move(first), std::move(second)};
}

Ends make_socket() {
  int ends[2];
  os::call(::socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, static_cast<int*>(ends)).or_throw("make a socket");
  os::Fd first = above_streams(ends[0]);
  return {std::move(first), above_streams(ends[1])};
}

/// Root's supplementary groups must not stay with the child. The raw call changes this thread only, for the moment of
/// the clone; a new user namespace with setgroups denied could not drop them itself.
class WithoutGroups {
 public:
  WithoutGroups() {
    if (::geteuid() != 0) {
      return;
    }
    const int n = ::getgroups(0, nullptr);
    groups_.resize(n > 0 ? static_cast<std::size_t>(n) : 0);
    active_ = ::getgroups(n, groups_.data()) >= 0 && ::syscall(SYS_setgroups, 0L, nullptr) == 0;
  }
  WithoutGroups(const WithoutGroups&) = delete;
  WithoutGroups& operator=(const WithoutGroups&) = delete;
  ~WithoutGroups() {
    if (active_) {
      ::syscall(SYS_setgroups, groups_.size(), groups_.data());
    }
  }

 private:
  std::vector<gid_t> groups_;
  bool active_ = false;
};

/// One record of the child; nullopt at the end of the stream. A descriptor that came along lands in `fd`.
std::optional<Record> receive(const os::Fd& from, os::Fd& fd) {
  Record record;
  iovec part{&record, sizeof record};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof control;
  const long n =
      os::call([&] { return ::recvmsg(from.get(), &message, MSG_CMSG_CLOEXEC); }).or_throw("hear from the workspace");
  if (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr && header->cmsg_type == SCM_RIGHTS) {
    int received = -1;
    std::memcpy(&received, CMSG_DATA(header), sizeof received);
    fd = os::Fd(received);
  }
  if (n != sizeof record) {
    return std::nullopt;
  }
  return record;
}

std::string cgroup_name(const std::string& name) {
  static std::atomic<unsigned> count{0};
  std::string safe;
  for (const char c : name.substr(0, 60)) {
    const bool plain =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
    safe += plain ? c : '_';
  }
  return format("{}-{}-{}", safe, ::getpid(), ++count);
}

os::Cgroup make_cgroup(const LaunchPlan& plan, const ChildOptions& options) {
  const os::CgroupLimits limits{plan.limits.memory_bytes, plan.limits.cpus, plan.limits.pids};
  if (!limits.memory_bytes && !limits.cpus && !limits.pids) {
    return os::Cgroup({}, "", "", {});
  }
  const os::CgroupMounts mounts = os::find_cgroups(os::read_file("/proc/self/mountinfo"));
  const std::string self = os::read_file("/proc/self/cgroup");
  const std::string name = cgroup_name(plan.name);
  if (options.before_groups) {
    options.before_groups(os::group_folders(mounts, self, name, limits));
  }
  return os::Cgroup(mounts, self, name, limits);
}

/// A process limit without a cgroup: the count of RLIMIT_NPROC is per user namespace, so it counts only what runs
/// inside.
void limit_without_cgroup(const LaunchPlan& plan, const os::Cgroup& cgroup, Setup& setup,
                          std::vector<std::string>& unmet) {
  for (const std::string& sentence : cgroup.unmet()) {
    if (sentence.starts_with("the pids limit")) {
      setup.max_processes = *plan.limits.pids + (plan.direct ? 0 : 1);
    } else {
      unmet.push_back(sentence);
    }
  }
}

/// What connects a child with us while it is set up and until it ends.
struct Wires {
  Ends go = make_pipe(true);
  Ends report = make_socket();
  Ends status = make_pipe(false);
  explicit Wires(Setup& setup) {
    setup.go = go.theirs.get();
    setup.report = report.theirs.get();
    setup.status = status.theirs.get();
  }
  void let_go(const char* what) const { os::call(::write, go.ours.get(), "g", std::size_t{1}).or_throw("{}", what); }
};

/// @param body  the child's whole life: nothing may be allocated there
template <class Body>
os::Child clone_child(Wires& wires, std::uint64_t flags, Body body) {
  int pidfd = -1;
  const os::SysRet cloned = [&] {
    const WithoutGroups without;
    const os::SysRet r = os::clone_process(flags, pidfd);
    if (r && r.value == 0) {
      // Our copies of the parent's ends would keep us from seeing that it died.
      ::close(wires.go.ours.get());
      ::close(wires.report.ours.get());
      body();
    }
    return r;
  }();
  if (!cloned) {
    throw clone_error(cloned.err);
  }
  for (os::Fd* fd : {&wires.go.theirs, &wires.report.theirs, &wires.status.theirs}) {
    fd->reset();
  }
  return {static_cast<pid_t>(cloned.value), os::Fd(pidfd)};
}

/// The number that a pidfd's process has here.
pid_t pid_of(const os::Fd& pidfd) {
  const std::string info = os::read_file(format("/proc/self/fdinfo/{}", pidfd.get()));
  const std::size_t at = info.find("\nPid:");
  return at == std::string::npos ? -1 : static_cast<pid_t>(std::strtol(info.c_str() + at + 5, nullptr, 10));
}

std::string text_of_log(const os::Fd& log) {
  std::string text(1U << 16U, '\0');
  const os::SysRet n =
      log.valid() ? os::call(::pread, log.get(), text.data(), text.size(), off_t{0}) : os::SysRet{0, 0};
  text.resize(n.value > 0 ? static_cast<std::size_t>(n.value) : 0);
  return text;
}

}  // namespace

RunningChild::RunningChild(std::unique_ptr<State> state) : state_(std::move(state)) {}
RunningChild::RunningChild(RunningChild&&) noexcept = default;
RunningChild::~RunningChild() = default;

pid_t RunningChild::pid() const noexcept { return state_->init.valid() ? state_->init_pid : state_->child.pid(); }
const os::Fd& RunningChild::pidfd() const noexcept { return state_->child.pidfd(); }
os::Fd& RunningChild::listener() noexcept { return state_->listener; }
os::Fd& RunningChild::terminal() noexcept { return state_->terminal; }
void RunningChild::kill(int signal) const noexcept {
  if (state_->init.valid()) {
    ::syscall(SYS_pidfd_send_signal, state_->init.get(), signal, nullptr, 0);
  } else {
    state_->child.kill(signal);
  }
}
const std::vector<std::string>& RunningChild::unmet() const noexcept { return state_->unmet; }

std::vector<std::string> RunningChild::cgroups() const {
  std::vector<std::string> all = state_->groups;
  for (const auto& folder : state_->cgroup.folders()) {
    all.push_back(folder.string());
  }
  return all;
}

RunningChild RunningChild::start(const LaunchPlan& plan, const ChildOptions& options) {
  if (options.runtime) {
    return start_by_runtime(plan, options);
  }
  Prepared prepared = prepare(plan, options);
  Setup& setup = prepared.setup;
  os::Cgroup cgroup = make_cgroup(plan, options);
  limit_without_cgroup(plan, cgroup, setup, prepared.unmet);
  Wires wires(setup);
  std::uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  flags |= plan.network == Network::None ? std::uint64_t{CLONE_NEWNET} : 0U;
  os::Child child = clone_child(wires, flags, [&] { run_child(setup); });
  const pid_t pid = child.pid();
  auto state = std::make_unique<State>(std::move(cgroup), std::move(child), std::move(wires.status.ours),
                                       std::move(prepared.unmet));
  prepared.held.clear();
  os::write_id_maps(pid, {setup.uid, static_cast<std::uint32_t>(options.id.uid)},
                    {setup.gid, static_cast<std::uint32_t>(options.id.gid)});
  state->cgroup.add(pid);
  wires.let_go("start the workspace");
  return finish(plan, std::move(state), wires.report.ours);
}

RunningChild RunningChild::start_by_runtime(const LaunchPlan& plan, const ChildOptions& options) {
  const bool own_limits = options.runtime->kind == RuntimeKind::Crun;
  Prepared prepared = prepare(plan, options);
  os::Cgroup cgroup = own_limits ? make_cgroup(plan, options) : os::Cgroup({}, "", "", {});
  limit_without_cgroup(plan, cgroup, prepared.setup, prepared.unmet);
  const std::string group = "slipway-" + cgroup_name(plan.name);
  RuntimeSetup setup = prepare_runtime(plan, options, prepared, group);
  Wires wires(setup.inner);
  const std::uint64_t flags = CLONE_NEWNS | CLONE_NEWPID | (setup.own_namespace ? std::uint64_t{CLONE_NEWUSER} : 0U);
  os::Child child = clone_child(wires, flags, [&] { run_runtime(setup); });
  const pid_t pid = child.pid();
  auto state = std::make_unique<State>(std::move(cgroup), std::move(child), std::move(wires.status.ours),
                                       std::move(prepared.unmet));
  state->runtime = options.runtime;
  prepared.held.clear();
  if (setup.own_namespace) {
    os::write_id_maps(pid, {0, static_cast<std::uint32_t>(options.id.uid)},
                      {0, static_cast<std::uint32_t>(options.id.gid)});
  }
  state->cgroup.add(pid);
  wires.let_go("start the workspace");
  RunningChild running = finish(plan, std::move(state), wires.report.ours);
  running.state_->groups =
      os::groups_named(os::read_file("/proc/self/mountinfo"),
                       os::read_file_if_any(format("/proc/{}/cgroup", running.pid())).value_or(""), group);
  return running;
}

RunningChild RunningChild::enter(pid_t target, const LaunchPlan& plan, const ChildOptions& options) {
  Prepared prepared = prepare_entered(plan, options);
  Setup& setup = prepared.setup;
  const os::Fd process = above_streams(static_cast<int>(
      os::call([target] { return ::syscall(SYS_pidfd_open, target, 0U); }).or_throw("open process {}", target)));
  setup.enter = process.get();
  Wires wires(setup);
  os::Child child = clone_child(wires, 0, [&] { run_entered(setup); });
  const pid_t pid = child.pid();
  auto state = std::make_unique<State>(os::Cgroup({}, "", "", {}), std::move(child), std::move(wires.status.ours),
                                       std::vector<std::string>{});
  prepared.held.clear();
  os::join_cgroups(pid, target);
  wires.let_go("enter the workspace");
  return finish(plan, std::move(state), wires.report.ours);
}

/// Hears what the child has to say until it has become the command, or has not.
RunningChild RunningChild::finish(const LaunchPlan& plan, std::unique_ptr<State> state, const os::Fd& report) {
  bool ready = false;
  os::Fd received;
  while (const std::optional<Record> record = receive(report, received)) {
    switch (record->kind) {
      case RecordKind::Failure:
        if (record->step == Step::Container && state->runtime) {
          throw runtime_error(plan, *state->runtime, text_of_log(received));
        }
        throw launch_error(plan, *record);
      case RecordKind::Init:
        state->init_pid = pid_of(received);
        state->init = std::move(received);
        break;
      case RecordKind::Listener: state->listener = std::move(received); break;
      case RecordKind::Terminal: state->terminal = std::move(received); break;
      case RecordKind::Ready: ready = true; break;
    }
  }
  RunningChild running(std::move(state));
  if (!ready) {
    const os::ExitStatus status_now = running.wait();
    throw Error(ErrorKind::Internal, "start the workspace: it ended while it was set up ({})", status_now.text());
  }
  return running;
}

os::ExitStatus RunningChild::wait() {
  int status = 0;
  const os::SysRet n = os::call(::read, state_->status.get(), &status, sizeof status);
  const os::ExitStatus of_init = state_->child.wait();
  return n.value == static_cast<long>(sizeof status) ? os::exit_status_from_wait(status) : of_init;
}

}  // namespace slip::launch
