#pragma once

#include <atomic>
#include <functional>
#include <vector>

#include "serving/base/metrics.h"
#include "serving/models/manager.h"

namespace slip::serving {

/// Receives a run's outputs, in the order they were asked for; called once, by any thread.
using RunDone = std::function<void(Result<std::vector<Tensor>>)>;

/// One run of a signature, on its way to TensorFlow.
struct RunCall {
  ServableRef servable;
  const Method* method = nullptr;
  std::vector<Tensor> inputs;        ///< one per port of method->inputs
  std::vector<std::size_t> outputs;  ///< indexes into method->outputs; empty: all
  Deadline deadline = kNoDeadline;
  const char* api = "Predict";  ///< for metrics: "Predict", "Classify", "Regress", "MultiInference"
};

/// How requests reach TensorFlow: at once, or in batches. Notes them in the version's statistics.
class Executor {
 public:
  Executor() = default;
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  virtual ~Executor() = default;
  /// May run on the calling thread and call `done` before it returns.
  virtual void run(RunCall call, RunDone done) = 0;
};

/// Runs each request alone, on the calling thread.
class DirectExecutor final : public Executor {
 public:
  /// @param metrics  must outlive the executor
  explicit DirectExecutor(Metrics& metrics);
  void run(RunCall call, RunDone done) override;
  /// One run that answers `share`, for those who note its requests themselves.
  Result<std::vector<Tensor>> execute(const RunCall& call, const Statistics::Share& share);

 private:
  Metrics& metrics_;
  std::atomic<int> running_{0};
};

}  // namespace slip::serving
