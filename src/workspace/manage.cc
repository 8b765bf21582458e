#include "workspace/manage.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "core/error.h"
#include "core/text.h"
#include "image/services.h"
#include "launch/forward.h"
#include "os/cgroup.h"
#include "workspace/journal.h"
#include "workspace/spawn.h"
#include "workspace/ssh_config.h"

namespace slip::workspace {
namespace {

using Clock = std::chrono::steady_clock;
using std::chrono::milliseconds;

constexpr auto kStep = milliseconds(20);
/// The monitor itself waits 15 s for slipway-init.
constexpr auto kStopPatience = std::chrono::seconds(20);

os::FileLock lock_for_change(const Folder& folder, const std::string& name, Events& events) {
  return {folder.change_lock(), os::FileLock::Mode::Exclusive,
          [&] { events.info("waiting for another slipway that changes `{}`", name); }};
}

bool wait_until(std::chrono::steady_clock::duration patience, const std::function<bool()>& done) {
  const auto end = Clock::now() + patience;
  while (!done()) {
    if (Clock::now() > end) {
      return false;
    }
    std::this_thread::sleep_for(kStep);
  }
  return true;
}

/// Removes the groups that a killed monitor could not.
void sweep(const Folder& folder) {
  const auto status = load_status(folder);
  for (const std::string& group : status ? status->cgroups : std::vector<std::string>{}) {
    os::remove_group(group);
  }
}

/// Sends `signal` to the monitor, which cannot be another process: it held its lock after we had its pidfd.
void signal_monitor(const Folder& folder, int signal) {
  const auto status = load_status(folder);
  if (!status || status->monitor <= 0) {
    return;
  }
  const os::Fd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, status->monitor, 0)));
  if (pidfd.valid() && is_alive(folder)) {
    ::syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0);
  }
}

void stop(const Folder& folder, const std::string& name, Events& events) {
  Task task(events, "Stopping", name);
  const auto gone = [&] { return !is_alive(folder); };
  signal_monitor(folder, SIGTERM);
  if (!wait_until(kStopPatience, gone)) {
    signal_monitor(folder, SIGKILL);
    if (!wait_until(kStopPatience, gone)) {
      throw Error(ErrorKind::Unavailable, "workspace `{}` does not stop", name);
    }
  }
  sweep(folder);
  task.succeed();
}

/// What was asked for, with the ports it had where nobody asked for another.
void keep_ports(Record& wanted, const std::optional<Record>& before) {
  for (const auto& [service, port] : before ? before->ports : std::map<std::string, std::uint16_t>{}) {
    if (wanted.has(service)) {
      wanted.ports.emplace(service, port);
    }
  }
}

void keep_runtime(Record& wanted, const std::optional<Record>& before) {
  if (wanted.runtime.empty()) {
    wanted.runtime = before ? before->runtime : "native";
  }
}

void check_owner(const Record& wanted, const std::optional<Record>& before) {
  if (!before || (before->project == wanted.project && (!wanted.project.empty() || before->image == wanted.image))) {
    return;
  }
  throw Error(ErrorKind::Conflict, "workspace `{}` belongs to {}", wanted.name,
              before->project.empty() ? format("image `{}`", before->image)
                                      : format("the project in `{}`", before->project.string()))
      .add_hint(format("give this one another name with `--name`, or forget the other with `slipway down --purge {}`",
                       wanted.name));
}

/// A port that was asked for by number is had or refused; no other is taken in its place.
void check_ports(const std::map<std::string, std::uint16_t>& asked) {
  for (const auto& [service, port] : asked) {
    launch::listen_on_loopback(port);
  }
}

/// The last lines of a service's log, as causes.
Error with_log(Error error, const Folder& folder, const std::string& service) {
  std::vector<std::string> lines;
  JournalReader(folder.log()).read([&](std::string_view line) {
    if (const auto text = line_of(line); text && text->service == service) {
      lines.push_back(text->text);
    }
  });
  for (std::size_t i = lines.size() > 5 ? lines.size() - 5 : 0; i < lines.size(); ++i) {
    error.add_cause(lines[i]);
  }
  return error.add_hint(format("slipway logs --service {} {}", service, folder.path.filename().string()));
}

/// Who wrote last: the one to look at when a workspace ended before it could be asked for its services.
std::string last_speaker(const Folder& folder) {
  std::string name;
  JournalReader(folder.log()).read([&](std::string_view line) {
    if (const auto text = line_of(line); text && text->stream != "event") {
      name = text->service;
    }
  });
  return name;
}

void wait_for_services(const Record& record, const Folder& folder, std::chrono::seconds patience) {
  std::vector<ServiceState> services;
  const bool ready = wait_until(patience, [&] {
    if (!is_alive(folder)) {
      return true;
    }
    try {
      services = ask_status(folder);
    } catch (const Error&) {
      return false;
    }
    return std::all_of(services.begin(), services.end(), is_well);
  });
  if (!is_alive(folder)) {
    const auto status = load_status(folder);
    Error error(ErrorKind::Unavailable, "workspace `{}` ended: {}", record.name,
                status && !status->reason.empty() ? status->reason : "its monitor was killed");
    const auto blamed = std::find_if_not(services.begin(), services.end(), is_well);
    const std::string name = blamed == services.end() ? last_speaker(folder) : blamed->name;
    throw name.empty() ? error.add_hint(format("slipway logs {}", record.name))
                       : with_log(std::move(error), folder, name);
  }
  if (!ready) {
    const auto slow = std::find_if_not(services.begin(), services.end(), is_well);
    const std::string name = slow == services.end() ? "slipway-init" : slow->name;
    throw with_log(Error(ErrorKind::Unavailable, "`{}` of workspace `{}` was not ready within {} s", name, record.name,
                         patience.count()),
                   folder, name);
  }
}

}  // namespace

Error no_services(const std::string& image) {
  Error error(ErrorKind::Invalid, "image `{}` has no service that a workspace could keep up", image);
  error.add_hint(
      "name one in slipway.yaml, `services: {ssh: {}}` or `services: {jupyter: {}}`, and run `slipway lock`");
  return error.add_hint("`slipway run -- COMMAND` needs none");
}

UpOutcome up(Record& wanted, const UpInput& input, Events& events) {
  if (!std::filesystem::exists(input.root / std::string(image::kServicesPath).substr(1))) {
    throw no_services(wanted.image);
  }
  const Folder folder = folder_of(input.dirs, wanted.name);
  os::make_dirs(input.dirs.state, 0700);
  os::make_dirs(folder.path, 0700);
  const os::FileLock changing = lock_for_change(folder, wanted.name, events);
  const std::optional<Record> before = load_record(folder);
  check_owner(wanted, before);
  const auto asked = wanted.ports;
  keep_ports(wanted, before);
  keep_runtime(wanted, before);
  write_files(wanted, folder, input.root, input.files);
  UpOutcome outcome = UpOutcome::Started;
  if (is_alive(folder)) {
    if (before == wanted) {
      wait_for_services(wanted, folder, input.patience);
      return UpOutcome::Unchanged;
    }
    stop(folder, wanted.name, events);
    outcome = UpOutcome::Restarted;
  }
  sweep(folder);
  check_ports(asked);
  os::write_file(folder.record(), to_json(wanted), 0600);
  save_status(folder, {});
  std::vector<std::string> monitor = input.monitor;
  monitor.push_back(wanted.name);
  Task task(events, "Starting", wanted.name);
  spawn_detached(std::move(monitor), folder.log() / "monitor.log");
  wanted = load_record(folder).value();
  if (wanted.ssh) {
    os::write_file(folder.ssh_config(), ssh_block(wanted, folder), 0600);
  } else {
    os::durable_remove(folder.ssh_config());
  }
  write_ssh_index(input.dirs);
  wait_for_services(wanted, folder, input.patience);
  task.succeed();
  return outcome;
}

bool down(const os::HostDirs& dirs, const std::string& name, Events& events) {
  require_record(dirs, name);
  const Folder folder = folder_of(dirs, name);
  const os::FileLock changing = lock_for_change(folder, name, events);
  const bool ran = is_alive(folder);
  if (ran) {
    stop(folder, name, events);
  } else {
    sweep(folder);
  }
  Status status = load_status(folder).value_or(Status{});
  status.running = false;
  status.exit_status = 0;
  status.reason.clear();
  status.cgroups.clear();
  save_status(folder, status);
  return ran;
}

void purge(const os::HostDirs& dirs, const std::string& name) {
  const Folder folder = folder_of(dirs, name);
  {
    const os::FileLock changing(folder.change_lock(), os::FileLock::Mode::Exclusive);
    if (is_alive(folder)) {
      throw Error(ErrorKind::Conflict, "workspace `{}` runs", name).add_hint(format("slipway down {}", name));
    }
    // The record first: without it there is no such workspace, whatever else is left.
    os::durable_remove(folder.record());
    os::remove_tree(folder.path);
  }
  write_ssh_index(dirs);
}

Record require_record(const os::HostDirs& dirs, const std::string& name) {
  if (auto record = load_record(folder_of(dirs, name))) {
    return std::move(*record);
  }
  Error error(ErrorKind::NotFound, "there is no workspace `{}`", name);
  const std::vector<std::string> names = workspace_names(dirs);
  throw error.add_hint(names.empty() ? "`slipway up` makes one from slipway.yaml"
                                     : format("there is {}", join(names, ", ")));
}

}  // namespace slip::workspace
