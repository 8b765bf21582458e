#include "workspace/inspect.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>

#include "core/error.h"
#include "core/text.h"
#include "image/plan.h"
#include "workspace/monitor.h"

namespace slip::workspace {
namespace {

namespace fs = std::filesystem;

std::uint64_t number_in(std::string_view text) {
  std::uint64_t value = 0;
  const std::size_t at = text.find_first_of("0123456789");
  if (at != std::string_view::npos) {
    std::from_chars(text.data() + at, text.data() + text.size(), value);
  }
  return value;
}

/// Proportional set size; resident pages where the kernel does not let us see it.
std::uint64_t memory_of(const fs::path& proc) {
  const auto rollup = os::read_file_if_any(proc / "smaps_rollup", 1 << 16);
  const std::size_t at = rollup ? rollup->find("\nPss:") : std::string::npos;
  if (at != std::string::npos) {
    return number_in(std::string_view(*rollup).substr(at, 40)) * 1024;
  }
  const std::string statm = os::read_file_if_any(proc / "statm", 4096).value_or("");
  const auto words = split_words(statm);
  return words.size() < 2 ? 0 : number_in(words[1]) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
}

double cpu_of(const fs::path& proc) {
  const std::string stat = os::read_file_if_any(proc / "stat", 4096).value_or("");
  const auto words = split_words(std::string_view(stat).substr(stat.rfind(')') + 1));  // npos + 1 is 0
  constexpr std::size_t kUser = 11;  // proc_pid_stat(5): utime is field 14, and ours begin with field 3
  if (words.size() <= kUser + 1) {
    return 0;
  }
  return static_cast<double>(number_in(words[kUser]) + number_in(words[kUser + 1])) /
         static_cast<double>(::sysconf(_SC_CLK_TCK));
}

/// Everything that descends from `pid`, which is PID 1 of its namespace, so nothing escapes.
void add_tree(int pid, Usage& usage) {
  const fs::path proc = format("/proc/{}", pid);
  try {
    usage.memory_bytes += memory_of(proc);
    usage.cpu_seconds += cpu_of(proc);
    ++usage.pids;
    std::error_code none;
    for (const auto& task : fs::directory_iterator(proc / "task", none)) {
      const std::string children = os::read_file_if_any(task.path() / "children", 1 << 20).value_or("");
      for (const std::string_view child : split_words(children)) {
        add_tree(static_cast<int>(number_in(child)), usage);
      }
    }
  } catch (const Error&) {
    // It has ended while we looked.
  }
}

/// "humanize-4.4.0.dist-info" → "humanize 4.4.0".
std::string package_of(std::string name) {
  name.resize(name.size() - std::string_view(".dist-info").size());
  const std::size_t dash = name.rfind('-');
  if (dash != std::string::npos) {
    name[dash] = ' ';
  }
  return name;
}

bool is_whiteout(const fs::path& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 && S_ISCHR(st.st_mode) && st.st_rdev == 0;
}

void add_packages(const fs::path& site, Drift& drift) {
  std::error_code none;
  for (const auto& entry : fs::directory_iterator(site, none)) {
    const std::string name = entry.path().filename().string();
    if (!name.ends_with(".dist-info")) {
      continue;
    }
    const bool gone = is_whiteout(entry.path());
    // A folder that only lacks files of the image's one is half removed; METADATA says that it was installed here.
    if (gone || fs::exists(entry.path() / "METADATA", none)) {
      (gone ? drift.removed : drift.added).push_back(package_of(name));
    }
  }
}

std::string end_of(const Status& status, bool was_running) {
  if (was_running) {
    return "its monitor was killed";
  }
  return status.reason.empty() ? format("exit status {}", status.exit_status) : status.reason;
}

}  // namespace

Drift drift_of(const fs::path& upper) {
  Drift drift;
  std::error_code none;
  for (const auto& python : fs::directory_iterator(upper / "lib", none)) {
    add_packages(python.path() / "site-packages", drift);
  }
  std::sort(drift.added.begin(), drift.added.end());
  std::sort(drift.removed.begin(), drift.removed.end());
  return drift;
}

std::string url_of(const Record& record, const std::string& service) {
  const auto port = record.ports.find(service);
  if (port == record.ports.end() || (service != "jupyter" && service != "rest" && service != "grpc")) {
    return {};
  }
  if (service == "grpc") {
    return format("127.0.0.1:{}", port->second);
  }
  return format("http://127.0.0.1:{}/{}", port->second, service == "rest" ? "v1/models/" + record.model : "");
}

View inspect(const os::HostDirs& dirs, const std::string& name) {
  const Folder folder = folder_of(dirs, name);
  View view;
  auto record = load_record(folder);
  if (!record) {
    throw Error(ErrorKind::NotFound, "there is no workspace `{}`", name);
  }
  view.record = std::move(*record);
  view.drift = drift_of(folder.layers() / view.record.root / "upper" / std::string(image::kPrefix).substr(1));
  const bool alive = is_alive(folder);
  const Status status = load_status(folder).value_or(Status{});
  if (!alive) {
    view.state = !status.running && status.exit_status == 0 ? "stopped" : "failed";
    view.reason = view.state == "failed" ? end_of(status, status.running) : "";
    return view;
  }
  view.init = status.init;
  view.started = status.started;
  view.unmet = status.unmet;
  view.state = "starting";
  if (!status.running) {
    return view;
  }
  add_tree(status.init, view.usage);
  try {
    view.services = ask_status(folder);
    const bool ready = std::all_of(view.services.begin(), view.services.end(), is_well);
    view.state = ready ? "running" : "starting";
  } catch (const Error& silent) {
    view.reason = silent.what();
  }
  return view;
}

}  // namespace slip::workspace
