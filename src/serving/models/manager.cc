#include "serving/models/manager.h"

#include <malloc.h>

#include <algorithm>
#include <charconv>

namespace slip::serving {
namespace fs = std::filesystem;

const char* name_of(VersionState state) noexcept {
  switch (state) {
    case VersionState::Unknown: return "UNKNOWN";
    case VersionState::Start: return "START";
    case VersionState::Loading: return "LOADING";
    case VersionState::Available: return "AVAILABLE";
    case VersionState::Unloading: return "UNLOADING";
    case VersionState::End: return "END";
  }
  return "UNKNOWN";
}

std::map<std::int64_t, fs::path> find_versions(const fs::path& base) {
  std::map<std::int64_t, fs::path> versions;
  std::error_code error;
  if (fs::exists(base / "saved_model.pb", error)) {
    versions.emplace(1, base);
    return versions;
  }
  for (const auto& entry : fs::directory_iterator(base, error)) {
    const std::string name = entry.path().filename();
    std::int64_t version = 0;
    const auto [end, parsed] = std::from_chars(name.data(), name.data() + name.size(), version);
    if (parsed == std::errc{} && end == name.data() + name.size() && version >= 0 && entry.is_directory(error)) {
      versions.emplace(version, entry.path());
    }
  }
  return versions;
}

namespace {

/// Versions without a folder that still answer for their status; a server that lives for years meets many.
constexpr int kRemembered = 8;

std::map<std::int64_t, fs::path> wanted_versions(const ModelConfig& config) {
  auto found = find_versions(config.base_path);
  if (config.policy.kind == VersionPolicy::Kind::Latest) {
    while (found.size() > config.policy.latest) {
      found.erase(found.begin());
    }
  } else if (config.policy.kind == VersionPolicy::Kind::Specific) {
    std::erase_if(found, [&](const auto& entry) {
      return std::ranges::find(config.policy.specific, entry.first) == config.policy.specific.end();
    });
  }
  return found;
}

std::string describe(const ModelSpec& spec) {
  return spec.version ? "Specific(" + spec.name + ", " + std::to_string(*spec.version) + ")"
                      : "Latest(" + spec.name + ")";
}

}  // namespace

Manager::Manager(const TfApi& api, LifecycleSettings settings, Log& log, LifecycleHooks hooks)
    : api_(api), settings_(std::move(settings)), log_(log), hooks_(std::move(hooks)) {}

Manager::~Manager() { stop(); }

Result<void> Manager::check_labels(const std::vector<ModelConfig>& configs) const {
  for (const ModelConfig& config : configs) {
    const auto found = models_.find(config.name);
    // Labels of a model that is new are checked when requests use them: its versions load later.
    if (found == models_.end() || settings_.labels_for_unavailable) {
      continue;
    }
    for (const auto& [label, number] : config.labels) {
      const auto version = found->second.versions.find(number);
      if (version == found->second.versions.end() || version->second.status.state != VersionState::Available) {
        return fail(Code::FailedPrecondition, "Request to assign label to version " + std::to_string(number) +
                                                  " of model " + config.name +
                                                  ", which is not currently available for inference");
      }
    }
  }
  return {};
}

Result<void> Manager::configure(std::vector<ModelConfig> configs) {
  const std::lock_guard lock(mutex_);
  if (auto checked = check_labels(configs); !checked) {
    return checked;
  }
  for (auto& [name, entry] : models_) {
    const bool kept = std::ranges::any_of(configs, [&](const ModelConfig& c) { return c.name == name; });
    if (!kept) {
      for (auto& [number, version] : entry.versions) {
        forgotten_.push_back(version.folder);
        retire(name, version);
      }
    }
  }
  std::erase_if(models_, [&](const auto& model) {
    return std::ranges::none_of(configs, [&](const ModelConfig& c) { return c.name == model.first; });
  });
  for (ModelConfig& config : configs) {
    const std::string name = config.name;
    models_[name].config = std::move(config);
  }
  look_now_ = true;
  changed_.notify_all();
  return {};
}

std::vector<ModelConfig> Manager::configs() const {
  const std::lock_guard lock(mutex_);
  std::vector<ModelConfig> configs;
  for (const auto& [name, entry] : models_) {
    configs.push_back(entry.config);
  }
  return configs;
}

void Manager::start() {
  thread_ = std::thread([this] { work(); });
  for (unsigned i = 0; i < settings_.load_threads; ++i) {
    loaders_.emplace_back([this] { load_waiting(); });
  }
}

void Manager::stop() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  if (thread_.joinable()) {
    thread_.join();
  }
  for (std::thread& loader : loaders_) {
    loader.join();
  }
  loaders_.clear();
}

void Manager::work() {
  auto next_look = Clock::now();
  while (true) {
    {
      std::unique_lock lock(mutex_);
      const auto wake = std::min(next_look, Clock::now() + std::chrono::milliseconds(retired_.empty() ? 60'000 : 20));
      changed_.wait_until(
          lock, wake, [this, before = retired_.size()] { return ending_ || look_now_ || retired_.size() != before; });
      if (ending_) {
        return;
      }
    }
    free_retired();
    bool look = Clock::now() >= next_look;
    {
      const std::lock_guard lock(mutex_);
      look |= std::exchange(look_now_, false);
    }
    if (look) {
      poll_once();
      next_look = settings_.poll.count() == 0 ? Clock::time_point::max() : Clock::now() + settings_.poll;
    }
  }
}

/// One look at the file system, with all loads and unloads that follow; with threads that load, they load later.
void Manager::poll_once() {
  tell_forgotten();
  for (const ModelConfig& config : configs()) {
    scan(config);
  }
  free_retired();
}

void Manager::scan(const ModelConfig& config) {
  std::error_code error;
  if (!fs::is_directory(config.base_path, error)) {
    return;  // it may come later; what is loaded stays
  }
  const auto wanted = wanted_versions(config);
  {
    const std::lock_guard lock(mutex_);
    const auto entry = models_.find(config.name);
    if (entry == models_.end()) {
      return;
    }
    entry->second.wanted = wanted;
  }
  // Newest first, so that the version that most requests want is there first.
  for (auto it = wanted.rbegin(); it != wanted.rend(); ++it) {
    const Load next{config.name, it->first, it->second};
    if (begin_load(next)) {
      load(next);
    }
  }
  drop_unwanted(config.name);
  forget_ended(config.name);
}

/// Whether the caller is to load this version now: it is due, and no thread that loads will.
bool Manager::begin_load(const Load& load) {
  const std::lock_guard lock(mutex_);
  const auto entry = models_.find(load.model);
  if (ending_ || entry == models_.end()) {
    return false;
  }
  Version& version = entry->second.versions[load.version];
  if (version.loading || version.status.state == VersionState::Available || Clock::now() < version.next_attempt ||
      version.attempts > settings_.retries) {
    return false;
  }
  version.status = {load.version, VersionState::Loading, {Code::Ok, ""}};
  version.folder = load.folder;
  version.loading = true;
  ++version.attempts;
  if (settings_.load_threads == 0) {
    return true;
  }
  waiting_.push_back(load);
  changed_.notify_all();
  return false;
}

/// What a thread that loads does.
void Manager::load_waiting() {
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return ending_ || !waiting_.empty(); });
    if (ending_) {
      return;
    }
    const Load next = std::move(waiting_.front());
    waiting_.pop_front();
    lock.unlock();
    load(next);
    drop_unwanted(next.model);
    lock.lock();
  }
}

LoadReport Manager::load_and_warm(Servable& servable, const fs::path& folder) {
  const auto since = [](Clock::time_point start) {
    return std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - start);
  };
  LoadReport report{folder};
  auto start = Clock::now();
  auto model = Model::load(api_, folder, settings_.session);
  report.load = since(start);
  if (!model) {
    report.failure = model.error();
    return report;
  }
  report.loaded = true;
  servable.model = std::move(*model);
  if (hooks_.warmup) {
    start = Clock::now();
    const auto warmed = hooks_.warmup(servable, folder);
    if (!warmed) {
      report.failure = warmed.error();
    }
    if (!warmed || *warmed > 0) {
      report.warmup = since(start);
    }
  }
  return report;
}

void Manager::load(const Load& load) {
  const auto start = Clock::now();
  auto servable = std::make_shared<Servable>();
  servable->name = load.model;
  servable->version = load.version;
  const LoadReport report = load_and_warm(*servable, load.folder);
  const Failure& failure = report.failure;
  if (hooks_.loaded) {
    const std::lock_guard one(telling_);
    hooks_.loaded(report);
  }
  const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
  if (failure.code == Code::Ok) {
    log_.info("version available", {{"model", load.model}, {"version", load.version}, {"load_ms", std::int64_t{took}}});
  } else {
    log_.warning("version did not load",
                 {{"model", load.model}, {"version", load.version}, {"reason", to_string(failure)}});
  }
  finish_load(load, std::move(servable), failure);
}

void Manager::finish_load(const Load& load, std::shared_ptr<Servable> servable, const Failure& failure) {
  const std::lock_guard lock(mutex_);
  const auto entry = models_.find(load.model);
  if (entry == models_.end()) {
    forgotten_.push_back(load.folder);  // again: the model left the configuration meanwhile
    return;
  }
  Version& version = entry->second.versions[load.version];
  version.folder = load.folder;
  version.loading = false;
  version.status = {load.version, failure.code == Code::Ok ? VersionState::Available : VersionState::End, failure};
  version.next_attempt = Clock::now() + settings_.retry_interval;
  if (failure.code == Code::Ok) {
    if (version.servable) {  // a model that left and came back meanwhile was loaded twice
      retired_.push_back({std::move(version.servable), load.model, load.version});
    }
    version.servable = std::move(servable);
    version.attempts = 0;
  }
  changed_.notify_all();
}

/// Versions that the policy no longer wants go, once at least one that it wants is there to take over.
void Manager::drop_unwanted(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto entry = models_.find(name);
  if (entry == models_.end()) {
    return;
  }
  const auto& wanted = entry->second.wanted;
  bool covered = wanted.empty();
  for (const auto& [number, version] : entry->second.versions) {
    covered |= wanted.contains(number) && version.status.state == VersionState::Available;
  }
  for (auto& [number, version] : entry->second.versions) {
    if (!wanted.contains(number) && covered) {
      retire(name, version);
    }
  }
  changed_.notify_all();
}

/// Of the versions that ended and have no folder any more, the newest few are kept.
void Manager::forget_ended(const std::string& name) {
  const std::lock_guard lock(mutex_);
  const auto entry = models_.find(name);
  if (entry == models_.end()) {
    return;
  }
  int kept = 0;
  std::erase_if(entry->second.versions, [&](const auto& item) {  // newest first
    const auto& [number, version] = item;
    const bool ended = version.status.state == VersionState::End && !version.loading;
    const bool old = ended && !entry->second.wanted.contains(number) && ++kept > kRemembered;
    if (old) {
      forgotten_.push_back(version.folder);
    }
    return old;
  });
}

void Manager::tell_forgotten() {
  std::vector<fs::path> folders;
  {
    const std::lock_guard lock(mutex_);
    folders.swap(forgotten_);
  }
  if (hooks_.forgotten) {
    const std::lock_guard one(telling_);
    std::ranges::for_each(folders, hooks_.forgotten);
  }
}

/// @pre mutex_ is held
void Manager::retire(const std::string& name, Version& version) {
  if (version.servable) {
    version.status.state = VersionState::Unloading;
    retired_.push_back({std::move(version.servable), name, version.status.version});
    version.servable.reset();
  } else if (version.status.state != VersionState::Unloading) {
    version.status.state = VersionState::End;
  }
  version.attempts = 0;
  version.next_attempt = {};
}

/// Destroys versions whose last request has ended: here, so that no request pays for it.
void Manager::free_retired() {
  std::vector<Retired> idle;
  {
    const std::lock_guard lock(mutex_);
    for (Retired& retired : retired_) {
      if (retired.servable.use_count() == 1) {
        idle.push_back(std::move(retired));
      }
    }
    std::erase_if(retired_, [](const Retired& retired) { return !retired.servable; });
  }
  if (idle.empty()) {
    return;
  }
  for (Retired& retired : idle) {
    retired.servable.reset();
    log_.info("version dropped", {{"model", retired.name}, {"version", retired.version}});
    const std::lock_guard lock(mutex_);
    if (const auto entry = models_.find(retired.name); entry != models_.end()) {
      const auto version = entry->second.versions.find(retired.version);
      if (version != entry->second.versions.end() && version->second.status.state == VersionState::Unloading) {
        version->second.status.state = VersionState::End;
      }
    }
  }
  ::malloc_trim(0);
}

Result<ServableRef> Manager::find(const ModelSpec& spec) const {
  const std::lock_guard lock(mutex_);
  const auto entry = models_.find(spec.name);
  if (entry == models_.end()) {
    return fail(Code::NotFound, "Servable not found for request: " + describe(spec));
  }
  std::optional<std::int64_t> number = spec.version;
  if (!spec.label.empty()) {
    const auto label = entry->second.config.labels.find(spec.label);
    if (label == entry->second.config.labels.end()) {
      return fail(Code::InvalidArgument, "Unrecognized servable version label: " + spec.label);
    }
    number = label->second;
  }
  for (const auto& [version, state] : entry->second.versions) {
    if (state.servable && (!number || *number == version)) {
      return ServableRef(state.servable);
    }
  }
  return fail(Code::NotFound, "Servable not found for request: " + describe({spec.name, number, ""}));
}

std::vector<ServableRef> Manager::serving(const std::string& name, std::optional<std::int64_t> version) const {
  const std::lock_guard lock(mutex_);
  std::vector<ServableRef> found;
  for (const auto& [model, entry] : models_) {
    for (const auto& [number, state] : entry.versions) {
      if (state.servable && (name.empty() || name == model) && (!version || *version == number)) {
        found.push_back(state.servable);
      }
    }
  }
  return found;
}

Result<std::vector<VersionStatus>> Manager::status(const std::string& name, std::optional<std::int64_t> version) const {
  const std::lock_guard lock(mutex_);
  std::vector<VersionStatus> all;
  if (const auto entry = models_.find(name); entry != models_.end()) {
    for (const auto& [number, state] : entry->second.versions) {
      if (!version || *version == number) {
        all.push_back(state.status);
      }
    }
  }
  if (!all.empty()) {
    return all;
  }
  return fail(Code::NotFound, version ? "Could not find version " + std::to_string(*version) + " of model " + name
                                      : "Could not find any versions of model " + name);
}

std::vector<std::string> Manager::names() const {
  const std::lock_guard lock(mutex_);
  std::vector<std::string> names;
  for (const auto& [name, entry] : models_) {
    names.push_back(name);
  }
  return names;
}

bool Manager::ready() const {
  const std::lock_guard lock(mutex_);
  return std::ranges::all_of(models_, [](const auto& model) {
    return std::ranges::any_of(model.second.versions, [](const auto& v) { return v.second.servable != nullptr; });
  });
}

/// @pre mutex_ is held
Failure Manager::failed_for_good() const {
  std::string failed;
  int count = 0;
  for (const auto& [name, entry] : models_) {
    bool hopeless = !entry.versions.empty();
    for (const auto& [number, version] : entry.versions) {
      hopeless &= version.status.state == VersionState::End && version.attempts > settings_.retries;
    }
    if (hopeless) {
      failed += (failed.empty() ? "" : ", ") + name + ": " + to_string(entry.versions.begin()->second.status.failure);
      ++count;
    }
  }
  return count == 0
             ? Failure{Code::Ok, ""}
             : Failure{Code::Unknown, std::to_string(count) + " model(s) did not become available: {" + failed + "}"};
}

Failure Manager::await(std::chrono::milliseconds time) const {
  const auto end = Clock::now() + time;
  while (true) {
    if (ready()) {
      return {Code::Ok, ""};
    }
    std::unique_lock lock(mutex_);
    if (Failure failure = failed_for_good(); failure.code != Code::Ok) {
      return failure;
    }
    if (ending_ || Clock::now() >= end) {
      return {Code::DeadlineExceeded, "not every model became available in time"};
    }
    changed_.wait_until(lock, std::min(end, Clock::now() + std::chrono::milliseconds(50)));
  }
}

}  // namespace slip::serving
