#include "launch/runtime.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "core/suggest.h"
#include "core/text.h"
#include "launch/bundle.h"
#include "launch/runtime_setup.h"
#include "os/cgroup.h"
#include "os/file.h"

namespace slip::launch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kId = "slipway";  ///< of the container; its runtime's state is in memory and its own

std::filesystem::path find_program(const std::string& name) {
  const char* path = std::getenv("PATH");
  // Runtimes are administrators' programs, whose folders are not in everybody's PATH.
  const std::string folders =
      std::string(path == nullptr ? "" : path) + ":/usr/local/sbin:/usr/sbin:/sbin:/usr/bin:/bin";
  for (const std::string_view folder : split(folders, ':')) {
    fs::path candidate = fs::path(folder) / name;
    if (folder.starts_with('/') && ::access(candidate.c_str(), X_OK) == 0) {
      return candidate;
    }
  }
  throw Error(ErrorKind::NotFound, "find the OCI runtime `{}`: it is not installed", name)
      .add_hint(format("install it (`apt install {}`), or leave `--runtime` out", name));
}

bool in_root_namespace(const Runtime& runtime) { return runtime.kind == RuntimeKind::Runc; }

BundleHost bundle_host(const LaunchPlan& plan, const Runtime& runtime, const HostId& id) {
  const auto inner_uid = static_cast<std::uint32_t>(plan.uid);
  const auto inner_gid = static_cast<std::uint32_t>(plan.gid);
  BundleHost host;
  host.base = kBundleBase;
  if (in_root_namespace(runtime)) {
    // The next id is root inside, which nothing of the workspace ever is.
    const auto uid = static_cast<std::uint32_t>(id.uid);
    const auto gid = static_cast<std::uint32_t>(id.gid);
    host.uids = {{0, uid + 1}, {inner_uid, uid}};
    host.gids = {{0, gid + 1}, {inner_gid, gid}};
  } else {
    host.uids = {{inner_uid, 0}};
    host.gids = {{inner_gid, 0}};
  }
  host.limits = in_root_namespace(runtime);
  host.unified = os::find_cgroups(os::read_file("/proc/self/mountinfo")).layout() == "v2";
  const auto places = bundle_places(plan);
  host.refuse_set_id = ::geteuid() == 0 && std::any_of(places.begin(), places.end(), [](const BundlePlace& p) {
                         return !p.source.empty() && !p.read_only;
                       });
  host.shm_bytes = shm_size(plan.limits);
  rlimit files{};
  os::call([&] { return ::getrlimit(RLIMIT_NOFILE, &files); }).or_throw("read the limit of open files");
  host.open_files_soft = files.rlim_cur;
  host.open_files_hard = files.rlim_max;
  return host;
}

ReadyCommand ready(std::vector<std::string> words) {
  ReadyCommand command;
  command.text = std::move(words);
  for (std::string& word : command.text) {
    command.argv.push_back(word.data());
  }
  command.argv.push_back(nullptr);
  return command;
}

void add_commands(RuntimeSetup& setup, const Runtime& runtime, bool terminal) {
  const std::string base = kBundleBase;
  std::vector<std::string> common = {
      runtime.program.string(), "--root", base + "/bundle/state", "--log", base + "/bundle/log",
      "--log-format",           "json"};
  if (runtime.kind == RuntimeKind::Crun) {
    common.insert(common.end(), {"--cgroup-manager", "disabled"});
  }
  const auto with = [&](std::initializer_list<std::string> more) {
    std::vector<std::string> words = common;
    words.insert(words.end(), more);
    return words;
  };
  std::vector<std::string> create = with({"create", "--bundle", base + "/bundle", "--pid-file", base + "/bundle/pid"});
  if (terminal) {
    create.insert(create.end(), {"--console-socket", base + "/bundle/tty"});
  }
  create.emplace_back(kId);
  setup.create = ready(std::move(create));
  setup.start = ready(with({"start", kId}));
  setup.remove = ready(with({"delete", "--force", kId}));
  static char path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
  setup.env = {path, nullptr};
}

bool lies_in(std::string_view path, std::string_view folder) {
  return path.starts_with(folder) && (path.size() == folder.size() || path[folder.size()] == '/');
}

/// Where `target` is to be made: in the deepest mount before it that covers it.
MountPlace place_of(std::string target, const std::vector<BundlePlace>& before) {
  for (std::size_t i = before.size(); i-- > 0;) {
    const BundlePlace& p = before[i];
    if (!p.source.empty() && p.target != target && lies_in(target, p.target)) {
      // A folder that is shown read-only is not ours to add to.
      return p.read_only ? MountPlace{MountPlace::kRuntime, target}
                         : MountPlace{static_cast<int>(i), target.substr(p.target.size())};
    }
  }
  for (const char* memory : {"/proc", "/sys", "/dev", "/tmp", "/var/tmp", "/run"}) {
    if (lies_in(target, memory)) {
      return {MountPlace::kRuntime, target};
    }
  }
  return {MountPlace::kRoot, std::move(target)};
}

void add_places(RuntimeSetup& setup, const LaunchPlan& plan) {
  const std::vector<BundlePlace> all = bundle_places(plan);
  for (std::size_t i = 0; i < all.size(); ++i) {
    setup.places.push_back(place_of(all[i].target, {all.begin(), all.begin() + static_cast<std::ptrdiff_t>(i)}));
  }
  for (const char* folder : {"/proc", "/sys"}) {
    setup.folders.push_back({MountPlace::kRoot, folder});
  }
  for (const char* folder : {"/dev", "/run"}) {
    setup.folders.push_back({MountPlace::kRoot, folder, 0755});
  }
  for (const char* folder : {"/tmp", "/var/tmp"}) {
    setup.folders.push_back({MountPlace::kRoot, folder, 01777});
  }
  const MountPlace cwd = place_of(plan.cwd, all);
  if (cwd.parent == MountPlace::kRoot) {
    setup.folders.push_back(cwd);
  }
}

}  // namespace

std::optional<Runtime> find_runtime(const std::string& name) {
  if (name == "native") {
    return std::nullopt;
  }
  if (name != "runc" && name != "crun") {
    Error error(ErrorKind::Usage, "`{}` is no runtime that slipway knows", name);
    const auto near = nearest(name, std::vector<std::string>{"native", "runc", "crun"});
    throw error.add_hint(near ? format("did you mean `{}`?", *near) : "native, runc or crun");
  }
  const RuntimeKind kind = name == "runc" ? RuntimeKind::Runc : RuntimeKind::Crun;
  if (kind == RuntimeKind::Runc && ::geteuid() != 0) {
    throw Error(ErrorKind::Unsupported, "runc needs two ids for a workspace, and an ordinary user has one")
        .add_hint("use `--runtime crun`, or leave `--runtime` out");
  }
  return Runtime{kind, find_program(name)};
}

std::string bundle_text(const LaunchPlan& plan, const Runtime& runtime, const HostId& id) {
  return to_bundle(plan, bundle_host(plan, runtime, id));
}

RuntimeSetup prepare_runtime(const LaunchPlan& plan, const ChildOptions& options, Prepared& prepared,
                             const std::string& group) {
  const Runtime& runtime = *options.runtime;
  BundleHost host = bundle_host(plan, runtime, options.id);
  host.terminal = options.terminal;
  host.max_processes = prepared.setup.max_processes;
  host.cgroup = in_root_namespace(runtime) ? group : "";
  RuntimeSetup setup;
  setup.config = to_bundle(plan, host);
  setup.inner = std::move(prepared.setup);
  setup.inner.filter = inherited_filter(host.refuse_set_id);
  setup.own_namespace = !in_root_namespace(runtime);
  setup.owner_uid = setup.own_namespace ? 0 : static_cast<std::uint32_t>(options.id.uid);
  setup.owner_gid = setup.own_namespace ? 0 : static_cast<std::uint32_t>(options.id.gid);
  add_places(setup, plan);
  add_commands(setup, runtime, options.terminal);
  return setup;
}

std::string last_words(const std::string& log) {
  std::string said;
  for (const std::string_view line : split(log, '\n')) {
    const auto record = nlohmann::json::parse(line, nullptr, false);
    if (record.is_object() && record.contains("msg") && record.at("msg").is_string() &&
        record.value("level", "error") != "warning") {
      said = record.at("msg").get<std::string>();
    }
  }
  return said;
}

Error runtime_error(const LaunchPlan& plan, const Runtime& runtime, const std::string& log) {
  const std::string name = runtime.program.filename().string();
  const std::string said = last_words(log);
  const bool missing = said.find("executable file") != std::string::npos && said.find("not found") != std::string::npos;
  if (missing ||
      (said.find("exec") != std::string::npos && said.find("o such file or directory") != std::string::npos)) {
    Error error(ErrorKind::NotFound, "run `{}`: there is no such program in the image", printable(plan.argv.front()));
    error.set_exit_status(kNotThere);
    return error.add_cause(printable(said));
  }
  Error error(ErrorKind::Unavailable, "have {} make the container", name);
  error.add_cause(said.empty() ? format("{} failed and did not say why", name) : printable(said));
  return error.add_hint("leave `--runtime` out: slipway's own launcher performs the same plan");
}

}  // namespace slip::launch
