#include "launch/sandbox.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <set>

#include "core/text.h"
#include "launch/capture.h"
#include "launch/child.h"
#include "launch/ownership.h"
#include "os/file.h"

namespace slip::launch {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kKeptOutput = 64 * 1024;

/// Holds `input` for a process to read.
os::Fd input_file(std::string_view input) {
  os::Fd file(
      static_cast<int>(os::call(::memfd_create, "input", unsigned{MFD_CLOEXEC}).or_throw("make a file in memory")));
  os::FdSink(file.get(), "the input of a build step").write(as_bytes(input));
  os::call(::lseek, file.get(), off_t{0}, SEEK_SET).or_throw("rewind the input of a build step");
  return file;
}

/// The last part of what a step prints; whole lines are passed on as they come.
class Output {
 public:
  explicit Output(Events& events) : events_(events) {}
  void add(std::string_view text) {
    kept_ += text;
    if (kept_.size() > 2 * kKeptOutput) {
      kept_.erase(0, kept_.size() - kKeptOutput);
    }
    line_ += text;
    for (std::size_t end = line_.find('\n'); end != std::string::npos; end = line_.find('\n')) {
      events_.debug("{}", printable(std::string_view(line_).substr(0, end)));
      line_.erase(0, end + 1);
    }
  }
  std::string take() {
    if (kept_.size() > kKeptOutput) {
      kept_.erase(0, kept_.size() - kKeptOutput);
    }
    return std::move(kept_);
  }

 private:
  Events& events_;
  std::string kept_;
  std::string line_;
};

/// Reads until everything inside is gone; daemons that a step left behind keep the pipe open but not us.
void read_output(RunningChild& child, const os::Fd& from, Output& output) {
  std::array<char, 65536> buffer;
  bool ended = false;
  while (true) {
    std::array<pollfd, 2> waiting = {pollfd{from.get(), POLLIN, 0}, pollfd{child.pidfd().get(), POLLIN, 0}};
    os::call(::poll, waiting.data(), nfds_t{ended ? 1U : 2U}, ended ? 0 : -1).or_throw("wait for a build step");
    if ((waiting[0].revents & (POLLIN | POLLHUP)) != 0) {
      const auto got = os::call(::read, from.get(), buffer.data(), buffer.size());
      if (got && got.value > 0) {
        output.add({buffer.data(), static_cast<std::size_t>(got.value)});
        continue;
      }
      return;
    }
    if (ended) {
      return;
    }
    ended = waiting[1].revents != 0;
  }
}

}  // namespace

struct Sandbox::State {
  Options options;
  Events& events;
  OwnershipSupervisor::LinkOwners links;
  std::uint64_t traps = 0;

  [[nodiscard]] fs::path upper() const { return options.scratch / "upper"; }

  /// Paths that are the launcher's, not the step's: what it mounts, and the mount points it made for that.
  [[nodiscard]] std::set<std::string> skipped() const {
    std::set<std::string> paths = {"proc", "sys", "dev", "run", "tmp"};
    for (const Mount& mount : options.mounts) {
      std::string inner = mount.target.substr(mount.target.find_first_not_of('/'));
      paths.insert(inner);
      for (std::size_t slash = inner.rfind('/'); slash != std::string::npos; slash = inner.rfind('/', slash - 1)) {
        if (!fs::exists(fs::symlink_status(options.lower / inner.substr(0, slash)))) {
          paths.insert(inner.substr(0, slash));
        }
        if (slash == 0) {
          break;
        }
      }
    }
    return paths;
  }
};

Sandbox::Sandbox(Options options, Events& events) : state_(new State{std::move(options), events, {}, 0}) {
  os::make_dirs(state_->options.scratch / "upper", 0755);
  os::make_dirs(state_->options.scratch / "work", 0755);
  if (state_->options.network == Network::Host && fs::exists("/etc/resolv.conf")) {
    state_->options.mounts.push_back({fs::canonical("/etc/resolv.conf"), "/etc/resolv.conf", true});
  }
}

Sandbox::~Sandbox() = default;

SandboxRun Sandbox::run(const std::vector<std::string>& argv, const std::map<std::string, std::string>& env,
                        const std::string& cwd, std::string_view input) {
  State& s = *state_;
  LaunchPlan plan;
  plan.name = "build";
  plan.root = s.options.lower;
  plan.upper = s.options.scratch / "upper";
  plan.work = s.options.scratch / "work";
  plan.writable_root = true;
  plan.argv = argv;
  plan.env = {{"PATH", "/usr/sbin:/usr/bin:/sbin:/bin"},
              {"HOME", "/root"},
              {"LC_ALL", "C.UTF-8"},
              {"SOURCE_DATE_EPOCH", std::to_string(s.options.epoch)},
              {"PYTHONHASHSEED", "0"}};
  for (const auto& [name, value] : env) {
    plan.env[name] = value;
  }
  plan.cwd = cwd;
  plan.uid = InnerId{0};
  plan.gid = InnerId{0};
  plan.mounts = s.options.mounts;
  plan.network = s.options.network;
  plan.filter = Filter::Build;
  plan.new_session = true;

  std::array<int, 2> ends{};
  os::call(::pipe2, ends.data(), O_CLOEXEC).or_throw("make a pipe");
  const os::Fd reading(ends[0]);
  os::Fd writing(ends[1]);
  const os::Fd in = input.empty() ? os::Fd() : input_file(input);

  ChildOptions options;
  options.id = s.options.id;
  options.stdio = {in.valid() ? in.get() : -1, writing.get(), writing.get()};
  if (s.options.emulate_ownership) {
    options.filter = ownership_filter();
    options.listener = true;
  }
  RunningChild child = RunningChild::start(plan, options);
  writing.reset();
  std::unique_ptr<OwnershipSupervisor> supervisor;
  if (s.options.emulate_ownership) {
    supervisor = std::make_unique<OwnershipSupervisor>(std::move(child.listener()), s.links);
  }
  Output output(s.events);
  read_output(child, reading, output);
  SandboxRun ran;
  ran.status = child.wait();
  if (supervisor) {
    supervisor->stop();
    s.traps += supervisor->answered();
    s.events.debug("{} calls about ownership answered", supervisor->answered());
  }
  ran.output = output.take();
  return ran;
}

std::filesystem::path Sandbox::host_path(const std::string& inner) const {
  const std::string relative = inner.substr(std::min(inner.find_first_not_of('/'), inner.size()));
  const fs::path changed = state_->upper() / relative;
  return fs::exists(fs::symlink_status(changed)) ? changed : state_->options.lower / relative;
}

std::vector<Sandbox::Change> Sandbox::capture() const {
  return capture_upper(state_->upper(), state_->options.epoch, state_->links, state_->skipped());
}

}  // namespace slip::launch
