#pragma once

#include <atomic>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "serving/base/deadline.h"
#include "serving/base/status.h"
#include "serving/tf/api.h"
#include "serving/tf/signature.h"
#include "serving/tf/tensor.h"

namespace slip::serving {

/// How sessions are made. Zero threads: one per core.
struct SessionSettings {
  int intra_op_threads = 0;
  int inter_op_threads = 0;
  std::string tags = "serve";  ///< separated by commas
  std::string config;          ///< ConfigProto bytes; the numbers of threads come behind and so win
};

/// One end of a signature, resolved in the graph.
struct Port {
  std::string name;  ///< its alias in the signature
  TensorInfo info;
  TF_Output at{nullptr, 0};
};

/// A signature ready to run; ports are sorted by alias.
struct Method {
  std::string name;
  std::string kind;  ///< method name: "tensorflow/serving/predict"
  std::vector<Port> inputs;
  std::vector<Port> outputs;

  /// Index of an alias, or -1.
  [[nodiscard]] static int find(const std::vector<Port>& ports, std::string_view alias) noexcept;
};

/// One loaded SavedModel: a session with its variables, and its signatures. run() may be called by many threads.
class Model {
 public:
  /// @param folder  holds saved_model.pb
  static Result<std::unique_ptr<Model>> load(const TfApi& api, const std::filesystem::path& folder,
                                             const SessionSettings& settings);
  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;
  ~Model();

  [[nodiscard]] const TfApi& api() const noexcept { return api_; }
  [[nodiscard]] const Signatures& signatures() const noexcept { return signatures_; }
  /// nullptr when there is no such signature; an empty name means `serving_default`.
  [[nodiscard]] const Method* method(std::string_view name) const noexcept;
  [[nodiscard]] const std::vector<Method>& methods() const noexcept { return methods_; }

  /// Feeds `inputs` (one per port of method.inputs, in that order) and fetches the named outputs.
  /// A model that runs fast runs on the calling thread, which spares two thread switches.
  Result<std::vector<Tensor>> run(const Method& method, std::span<const Tensor* const> inputs,
                                  std::span<const std::size_t> outputs, Deadline deadline) const;
  /// All outputs in the order of method.outputs.
  Result<std::vector<Tensor>> run(const Method& method, std::span<const Tensor* const> inputs,
                                  Deadline deadline = kNoDeadline) const;

  /// A moving average of how long run() takes, in microseconds; 0 before the first run.
  [[nodiscard]] std::uint32_t typical_run_us() const noexcept {
    return typical_run_us_.load(std::memory_order_relaxed);
  }

 private:
  Model(const TfApi& api) : api_(api) {}
  Result<void> resolve(std::vector<Port>& ports, const std::map<std::string, TensorInfo>& infos);
  Result<void> resolve_all();
  [[nodiscard]] std::string run_options(Deadline deadline) const;
  void note_run(Clock::duration took) const noexcept;

  const TfApi& api_;
  TF_Graph* graph_ = nullptr;
  TF_Session* session_ = nullptr;
  Signatures signatures_;
  std::vector<Method> methods_;
  mutable std::atomic<std::uint32_t> typical_run_us_{0};
};

}  // namespace slip::serving
