#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <string_view>
#include <thread>
#include <vector>

#include "serving/executor.h"
#include "serving/metrics.h"

namespace slip::serving {

/// @source TensorFlow Serving 2.9, session_bundle_config.proto (BatchingParameters) and its defaults
struct BatchSettings {
  std::int64_t max_batch_size = 1000;             ///< rows
  std::int64_t batch_timeout_micros = 0;          ///< how long the first request of a batch waits for others
  std::int64_t max_enqueued_batches = 64;         ///< per queue; beyond that requests are refused at once
  std::int64_t num_batch_threads = 0;             ///< 0: one per core
  std::vector<std::int64_t> allowed_batch_sizes;  ///< ascending; batches are padded up to the next; empty: any
};

/// Reads a batching parameters file in text format.
Result<BatchSettings> read_batch_settings(std::string_view text);

/// Runs requests of several clients together: those for the same signature and outputs of the same version, with
/// inputs of the same shape but for dimension 0.
class BatchingExecutor final : public Executor {
 public:
  BatchingExecutor(BatchSettings settings, Metrics& metrics);
  ~BatchingExecutor() override;

  /// Requests without inputs run at once and alone, as they have no dimension to batch along.
  void run(RunCall call, RunDone done) override;

 private:
  struct Task {
    RunCall call;
    RunDone done;
    std::int64_t rows;
    Clock::time_point arrived;
  };
  struct Key {
    const Servable* servable;
    const Method* method;
    std::vector<std::size_t> outputs;
    std::vector<Shape> inner;  ///< shapes of the inputs without dimension 0
    auto operator<=>(const Key&) const = default;
  };
  struct Queue {
    std::deque<Task> tasks;
    std::int64_t rows = 0;
  };

  void work();
  bool take_batch(std::vector<Task>& batch, Clock::time_point& next);
  void run_batch(std::vector<Task> batch);
  void answer(std::vector<Task>& batch, Result<std::vector<Tensor>> outputs, std::int64_t rows);
  [[nodiscard]] std::int64_t padded(std::int64_t rows) const noexcept;

  const BatchSettings settings_;
  Metrics& metrics_;
  DirectExecutor direct_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, Queue> queues_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace slip::serving
