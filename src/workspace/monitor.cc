#include "workspace/monitor.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>
#include <thread>

#include "core/error.h"
#include "gpu/give.h"
#include "image/model_image.h"
#include "image/services.h"
#include "launch/child.h"
#include "os/file.h"
#include "workspace/companions.h"
#include "workspace/journal.h"

namespace slip::workspace {
namespace {

using Json = nlohmann::json;

/// slipway-init gives services 5 s, then the rest as much; what has not ended then is stuck.
constexpr int kStopPatienceMs = 15'000;

/// The port that was used before, the usual one, or any free one.
os::Fd listen_near(std::uint16_t wanted) {
  try {
    return launch::listen_on_loopback(wanted);
  } catch (const Error& taken) {
    if (taken.kind() != ErrorKind::Conflict) {
      throw;
    }
  }
  return launch::listen_on_loopback(0);
}

std::vector<launch::Forward> publish(Record& record) {
  std::vector<launch::Forward> forwards;
  const auto add = [&](const char* service, int inside) {
    const auto before = record.ports.find(service);
    const auto wanted = before == record.ports.end() ? static_cast<std::uint16_t>(inside) : before->second;
    os::Fd listener = listen_near(wanted);
    record.ports[service] = launch::port_of(listener);
    forwards.push_back({std::move(listener), static_cast<std::uint16_t>(inside)});
  };
  if (record.jupyter) {
    add("jupyter", image::kJupyterPort);
  }
  if (record.ssh) {
    add("ssh", image::kSshPort);
  }
  if (!record.model.empty()) {
    add("rest", image::kRestPort);
    add("grpc", image::kGrpcPort);
  }
  return forwards;
}

class Monitor {
 public:
  Monitor(Record record, const Folder& folder, const MonitorInput& input)
      : record_(std::move(record)), folder_(folder), input_(input), journal_(folder.log()) {
    sigset_t wanted;
    ::sigemptyset(&wanted);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGCHLD}) {
      ::sigaddset(&wanted, signal);
    }
    ::sigprocmask(SIG_BLOCK, &wanted, nullptr);
    signals_ = os::Fd(::signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK));
    int ends[2];
    os::call(::pipe2, static_cast<int*>(ends), O_CLOEXEC).or_throw("make a pipe");
    records_ = os::Fd(ends[0]);
    records_end_ = os::Fd(ends[1]);
    ::fcntl(records_.get(), F_SETFL, O_NONBLOCK);
    ::fcntl(records_.get(), F_SETPIPE_SZ, 1 << 20);
  }

  int run(const std::function<void()>& started) {
    std::vector<launch::Forward> forwards = publish(record_);
    os::write_file(folder_.record(), to_json(record_), 0600);
    launch::LaunchPlan plan = plan_up(record_, folder_, input_.root);
    gpu::give_gpus(plan, record_.gpu);
    launch::ChildOptions options;
    options.id = input_.id;
    options.runtime = launch::find_runtime(record_.runtime);
    options.stdio = {-1, records_end_.get(), records_end_.get()};
    options.before_groups = [&](const std::vector<std::string>& groups) {
      status_.cgroups = groups;  // if we are killed before all is said, whoever comes next still finds them
      save_status(folder_, status_);
    };
    launch::RunningChild child = launch::RunningChild::start(plan, options);
    records_end_.reset();
    Companions companions(child.pid(), input_.id);
    companions.forward(std::move(forwards));
    if (record_.outbound) {
      companions.let_out(input_.outbound);
    }
    status_.monitor = ::getpid();
    status_.init = child.pid();
    status_.started = ::time(nullptr);
    status_.running = true;
    status_.unmet = child.unmet();
    status_.cgroups = child.cgroups();
    save_status(folder_, status_);
    started();
    attend(child, companions);
    const os::ExitStatus end = child.wait();
    read_records();
    status_.running = false;
    status_.exit_status = end.shell_status();
    if (!ended_because_.empty() || status_.reason.empty()) {
      status_.reason = ended_because_.empty() ? end.text() : ended_because_;
    }
    save_status(folder_, status_);
    return status_.exit_status;
  }

 private:
  void attend(const launch::RunningChild& child, Companions& companions) {
    bool stopping = false;
    int records = records_.get();
    while (true) {
      std::vector<pollfd> polled{pollfd{child.pidfd().get(), POLLIN, 0}, pollfd{signals_.get(), POLLIN, 0},
                                 pollfd{records, POLLIN, 0}};
      for (const int fd : stopping ? std::vector<int>{} : companions.pidfds()) {
        polled.push_back({fd, POLLIN, 0});
      }
      const os::SysRet n = os::call(::poll, polled.data(), nfds_t{polled.size()}, stopping ? kStopPatienceMs : -1);
      if (polled[0].revents != 0) {
        return;
      }
      if (n && n.value == 0) {
        child.kill(SIGKILL);
      }
      if (polled[2].revents != 0 && !read_records()) {
        records = -1;
      }
      const bool asked = take_signals();
      if (asked || (!stopping && !revive(companions))) {
        child.kill(SIGTERM);
        stopping = true;
      }
    }
  }

  /// False when the workspace has to end, because it cannot be reached any more.
  bool revive(Companions& companions) {
    try {
      if (companions.revive()) {
        return true;
      }
      ended_because_ = "its port forwarder or outbound gateway ends again and again";
    } catch (const Error& e) {
      ended_because_ = e.what();
    }
    return false;
  }

  /// True when one of them asks us to stop.
  bool take_signals() {
    bool stop = false;
    signalfd_siginfo info{};
    while (::read(signals_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
      stop = stop || info.ssi_signo != SIGCHLD;
    }
    return stop;
  }

  /// False at the end of the stream.
  bool read_records() {
    char buffer[65536];
    while (true) {
      const ssize_t n = ::read(records_.get(), buffer, sizeof buffer);
      if (n <= 0) {
        return n < 0 && (errno == EAGAIN || errno == EINTR);
      }
      journal_.append({buffer, static_cast<std::size_t>(n)}, [this](std::string_view line) { note_end(line); });
    }
  }

  /// slipway-init's own last word says why everything ended.
  void note_end(std::string_view line) {
    if (line.find("\"event\":\"exit\"") == std::string_view::npos) {
      return;
    }
    const Json record = Json::parse(line, nullptr, false);
    if (record.is_object() && record.value("event", "") == "exit" && !record.contains("service")) {
      status_.reason = record.value("reason", "");
    }
  }

  Record record_;
  const Folder& folder_;
  const MonitorInput& input_;
  Journal journal_;
  Status status_;
  os::Fd signals_;
  os::Fd records_;
  os::Fd records_end_;
  std::string ended_because_;
};

}  // namespace

std::optional<Status> load_status(const Folder& folder) {
  const auto text = os::read_file_if_any(folder.status());
  const Json json = text ? Json::parse(*text, nullptr, false) : Json();
  if (!json.is_object()) {
    return std::nullopt;
  }
  Status s;
  s.monitor = json.value("monitor", 0);
  s.init = json.value("init", 0);
  s.started = json.value("started", std::int64_t{0});
  s.running = json.value("running", false);
  s.exit_status = json.value("exit_status", 0);
  s.reason = json.value("reason", "");
  s.unmet = json.value("unmet", std::vector<std::string>{});
  s.cgroups = json.value("cgroups", std::vector<std::string>{});
  return s;
}

void save_status(const Folder& folder, const Status& s) {
  const Json json = {{"monitor", s.monitor}, {"init", s.init},      {"started", s.started},
                     {"running", s.running}, {"reason", s.reason},  {"exit_status", s.exit_status},
                     {"unmet", s.unmet},     {"cgroups", s.cgroups}};
  os::write_file(folder.status(), json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n", 0600);
}

bool is_alive(const Folder& folder) {
  std::error_code none;
  return std::filesystem::exists(folder.alive_lock(), none) &&
         !os::FileLock::try_lock(folder.alive_lock(), os::FileLock::Mode::Shared);
}

int run_monitor(Record record, const Folder& folder, const MonitorInput& input, const std::function<void()>& started) {
  auto alive = os::FileLock::try_lock(folder.alive_lock(), os::FileLock::Mode::Exclusive);
  // Whoever asks is_alive() in this moment holds it for an instant.
  for (int tries = 0; !alive && tries < 100; ++tries) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    alive = os::FileLock::try_lock(folder.alive_lock(), os::FileLock::Mode::Exclusive);
  }
  if (!alive) {
    throw Error(ErrorKind::Conflict, "workspace `{}` runs already", record.name);
  }
  return Monitor(std::move(record), folder, input).run(started);
}

}  // namespace slip::workspace
