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
  bool direct = false;
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

os::Cgroup make_cgroup(const LaunchPlan& plan) {
  const os::CgroupLimits limits{plan.limits.memory_bytes, plan.limits.cpus, plan.limits.pids};
  if (!limits.memory_bytes && !limits.cpus && !limits.pids) {
    return os::Cgroup({}, "", "", {});
  }
  return os::Cgroup(os::find_cgroups(os::read_file("/proc/self/mountinfo")), os::read_file("/proc/self/cgroup"),
                    cgroup_name(plan.name), limits);
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

}  // namespace

RunningChild::RunningChild(std::unique_ptr<State> state) : state_(std::move(state)) {}
RunningChild::RunningChild(RunningChild&&) noexcept = default;
RunningChild::~RunningChild() = default;

pid_t RunningChild::pid() const noexcept { return state_->child.pid(); }
const os::Fd& RunningChild::pidfd() const noexcept { return state_->child.pidfd(); }
os::Fd& RunningChild::listener() noexcept { return state_->listener; }
os::Fd& RunningChild::terminal() noexcept { return state_->terminal; }
void RunningChild::kill(int signal) const noexcept { state_->child.kill(signal); }
const std::vector<std::string>& RunningChild::unmet() const noexcept { return state_->unmet; }

std::vector<std::string> RunningChild::cgroups() const {
  std::vector<std::string> all;
  for (const auto& folder : state_->cgroup.folders()) {
    all.push_back(folder.string());
  }
  return all;
}

RunningChild RunningChild::start(const LaunchPlan& plan, const ChildOptions& options) {
  Prepared prepared = prepare(plan, options);
  Setup& setup = prepared.setup;
  os::Cgroup cgroup = make_cgroup(plan);
  limit_without_cgroup(plan, cgroup, setup, prepared.unmet);
  Ends go = make_pipe(true);
  Ends report = make_socket();
  Ends status = make_pipe(false);
  setup.go = go.theirs.get();
  setup.report = report.theirs.get();
  setup.status = status.theirs.get();

  std::uint64_t flags = CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWUTS;
  flags |= plan.network == Network::None ? std::uint64_t{CLONE_NEWNET} : 0U;
  int pidfd = -1;
  const os::SysRet cloned = [&] {
    const WithoutGroups without;
    const os::SysRet r = os::clone_process(flags, pidfd);
    if (r && r.value == 0) {
      // Our copies of the parent's ends would keep us from seeing that it died.
      ::close(go.ours.get());
      ::close(report.ours.get());
      run_child(setup);
    }
    return r;
  }();
  if (!cloned) {
    throw clone_error(cloned.err);
  }
  const auto pid = static_cast<pid_t>(cloned.value);
  auto state = std::unique_ptr<State>(new State{std::move(cgroup),
                                                os::Child(pid, os::Fd(pidfd)),
                                                std::move(status.ours),
                                                {},
                                                {},
                                                std::move(prepared.unmet),
                                                plan.direct});
  for (os::Fd* fd : {&go.theirs, &report.theirs, &status.theirs}) {
    fd->reset();
  }
  prepared.held.clear();
  os::write_id_maps(pid, {setup.uid, static_cast<std::uint32_t>(options.id.uid)},
                    {setup.gid, static_cast<std::uint32_t>(options.id.gid)});
  state->cgroup.add(pid);
  os::call(::write, go.ours.get(), "g", std::size_t{1}).or_throw("start the workspace");

  return finish(plan, std::move(state), report.ours);
}

RunningChild RunningChild::enter(pid_t target, const LaunchPlan& plan, const ChildOptions& options) {
  Prepared prepared = prepare_entered(plan, options);
  Setup& setup = prepared.setup;
  const os::Fd process = above_streams(static_cast<int>(
      os::call([target] { return ::syscall(SYS_pidfd_open, target, 0U); }).or_throw("open process {}", target)));
  Ends go = make_pipe(true);
  Ends report = make_socket();
  Ends status = make_pipe(false);
  setup.enter = process.get();
  setup.go = go.theirs.get();
  setup.report = report.theirs.get();
  setup.status = status.theirs.get();
  int pidfd = -1;
  const os::SysRet cloned = [&] {
    const WithoutGroups without;
    const os::SysRet r = os::clone_process(0, pidfd);
    if (r && r.value == 0) {
      ::close(go.ours.get());
      ::close(report.ours.get());
      run_entered(setup);
    }
    return r;
  }();
  const auto pid = static_cast<pid_t>(cloned.or_throw("start a process"));
  auto state = std::unique_ptr<State>(
      new State{os::Cgroup({}, "", "", {}), os::Child(pid, os::Fd(pidfd)), std::move(status.ours), {}, {}, {}, false});
  for (os::Fd* fd : {&go.theirs, &report.theirs, &status.theirs}) {
    fd->reset();
  }
  prepared.held.clear();
  os::join_cgroups(pid, target);
  os::call(::write, go.ours.get(), "g", std::size_t{1}).or_throw("enter the workspace");
  return finish(plan, std::move(state), report.ours);
}

/// Hears what the child has to say until it has become the command, or has not.
RunningChild RunningChild::finish(const LaunchPlan& plan, std::unique_ptr<State> state, const os::Fd& report) {
  bool ready = false;
  os::Fd received;
  while (const std::optional<Record> record = receive(report, received)) {
    switch (record->kind) {
      case RecordKind::Failure: throw launch_error(plan, *record);
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
