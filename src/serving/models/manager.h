#pragma once

#include <condition_variable>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "serving/base/log.h"
#include "serving/models/statistics.h"
#include "serving/tf/model.h"

namespace slip::serving {

/// Life of one version. @source TensorFlow Serving get_model_status.proto
enum class VersionState { Unknown = 0, Start = 10, Loading = 20, Available = 30, Unloading = 40, End = 50 };
const char* name_of(VersionState state) noexcept;

/// Which versions below a base path are served.
struct VersionPolicy {
  enum class Kind { Latest, All, Specific };
  Kind kind = Kind::Latest;
  std::size_t latest = 1;              ///< how many, for Latest
  std::vector<std::int64_t> specific;  ///< for Specific
  bool operator==(const VersionPolicy&) const = default;
};

/// One model to serve.
struct ModelConfig {
  std::string name;
  std::filesystem::path base_path;  ///< holds version folders, or is a SavedModel itself (then version 1)
  VersionPolicy policy;
  std::map<std::string, std::int64_t> labels;
  bool operator==(const ModelConfig&) const = default;
};

/// A loaded version, kept alive by every request that uses it.
struct Servable {
  std::string name;
  std::int64_t version = 0;
  std::unique_ptr<Model> model;
  mutable Statistics statistics{};  ///< noted by those who run it
};
using ServableRef = std::shared_ptr<const Servable>;

struct VersionStatus {
  std::int64_t version = 0;
  VersionState state = VersionState::Unknown;
  Failure failure{Code::Ok, ""};
};

/// What a request asks for: neither version nor label means the newest version that is available.
struct ModelSpec {
  std::string name;
  std::optional<std::int64_t> version;
  std::string label;
};

struct LifecycleSettings {
  SessionSettings session;
  std::chrono::milliseconds poll{1000};  ///< between two looks at the file system; 0: look once
  int retries = 5;                       ///< further attempts at a version that does not load
  std::chrono::milliseconds retry_interval{60'000};
  unsigned load_threads = 0;            ///< that load side by side; 0: one version after the other, by the manager
  bool labels_for_unavailable = false;  ///< a label may name a version that is not available yet
};

/// Runs before a new version becomes available; a failure fails its load. @return how many requests it ran
using Warmup = std::function<Result<std::size_t>(const Servable&, const std::filesystem::path& folder)>;

/// What became of one attempt to load a version.
struct LoadReport {
  std::filesystem::path folder;
  bool loaded = false;  ///< by TensorFlow; its warm-up may have failed all the same
  Failure failure{Code::Ok, ""};
  std::chrono::microseconds load{0};
  std::chrono::microseconds warmup{0};  ///< 0: there was nothing to run
};

/// What the manager tells others, one call at a time; each may be empty.
struct LifecycleHooks {
  Warmup warmup;  ///< by the thread that loads, beside other calls
  std::function<void(const LoadReport&)> loaded;
  /// A version that ended long ago is no longer remembered, and nobody needs to know of its folder.
  std::function<void(const std::filesystem::path& folder)> forgotten;
};

/// Loads, switches and drops versions as folders come and go, on one thread of its own and those that load.
///
/// A new version is loaded, warmed and put in service before an old one goes; one that fails leaves the old one in
/// service. A version's memory is given back once its last request has ended. find() never waits for a load.
class Manager {
 public:
  Manager(const TfApi& api, LifecycleSettings settings, Log& log, LifecycleHooks hooks = {});
  Manager(const Manager&) = delete;
  Manager& operator=(const Manager&) = delete;
  ~Manager();

  /// Replaces what is served: models that are no longer named go. Labels are checked against loaded versions.
  Result<void> configure(std::vector<ModelConfig> configs);
  [[nodiscard]] std::vector<ModelConfig> configs() const;
  void start();
  void stop();

  [[nodiscard]] Result<ServableRef> find(const ModelSpec& spec) const;
  /// All versions that serve, of one model or, with an empty name, of every one; newest first.
  [[nodiscard]] std::vector<ServableRef> serving(const std::string& name,
                                                 std::optional<std::int64_t> version = std::nullopt) const;
  /// Newest first. @param version  only this one
  [[nodiscard]] Result<std::vector<VersionStatus>> status(const std::string& name,
                                                          std::optional<std::int64_t> version) const;
  [[nodiscard]] std::vector<std::string> names() const;
  /// Every configured model has an available version.
  [[nodiscard]] bool ready() const;
  /// Waits until ready(), or until a model has failed for good. @return what failed; Ok when ready
  [[nodiscard]] Failure await(std::chrono::milliseconds time) const;

 private:
  struct Version {
    VersionStatus status;
    std::filesystem::path folder;
    std::shared_ptr<Servable> servable;
    int attempts = 0;
    Clock::time_point next_attempt{};
    bool loading = false;  ///< waits for a thread, or one is at it
  };
  struct Entry {
    ModelConfig config;
    std::map<std::int64_t, Version, std::greater<>> versions;
    std::map<std::int64_t, std::filesystem::path> wanted;  ///< at the last look
  };
  struct Load {
    std::string model;
    std::int64_t version;
    std::filesystem::path folder;
  };
  struct Retired {
    std::shared_ptr<Servable> servable;
    std::string name;
    std::int64_t version;
  };

  void work();
  void load_waiting();
  void poll_once();
  void scan(const ModelConfig& config);
  bool begin_load(const Load& load);
  void load(const Load& load);
  void finish_load(const Load& load, std::shared_ptr<Servable> servable, const Failure& failure);
  LoadReport load_and_warm(Servable& servable, const std::filesystem::path& folder);
  void drop_unwanted(const std::string& name);
  void forget_ended(const std::string& name);
  void tell_forgotten();
  void retire(const std::string& name, Version& version);
  void free_retired();
  Result<void> check_labels(const std::vector<ModelConfig>& configs) const;
  [[nodiscard]] Failure failed_for_good() const;

  const TfApi& api_;
  const LifecycleSettings settings_;
  Log& log_;
  LifecycleHooks hooks_;
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::map<std::string, Entry> models_;
  std::vector<Retired> retired_;
  std::vector<std::filesystem::path> forgotten_;  ///< folders to tell of at the next look
  std::deque<Load> waiting_;                      ///< for a thread that loads
  std::mutex telling_;                            ///< hooks `loaded` and `forgotten`
  std::thread thread_;
  std::vector<std::thread> loaders_;
  bool ending_ = false;
  bool look_now_ = false;
};

/// The version folders of `base`, with their numbers; `base` itself as version 1 when it is a SavedModel.
std::map<std::int64_t, std::filesystem::path> find_versions(const std::filesystem::path& base);

}  // namespace slip::serving
