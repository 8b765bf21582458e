#pragma once

#include <atomic>
#include <condition_variable>
#include <deque>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "serving/base/metrics.h"
#include "serving/batch/settings.h"
#include "serving/models/executor.h"

namespace slip::serving {

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
    std::vector<Shape> inner;  ///< shapes of the inputs without dimension 0; with padding only their ranks count
    auto operator<=>(const Key&) const = default;
  };
  struct Queue {
    std::deque<Task> tasks;
    std::int64_t rows = 0;
  };

  [[nodiscard]] Key key_of(const RunCall& call) const;
  bool enqueue(std::vector<Task>& tasks);
  static std::vector<Task> split(RunCall call, RunDone done, std::int64_t rows, std::int64_t most);
  void work();
  bool take_batch(std::vector<Task>& batch, Clock::time_point& next);
  void run_batch(std::vector<Task> batch);
  void answer(std::vector<Task>& batch, Result<std::vector<Tensor>> outputs, std::int64_t rows);
  [[nodiscard]] std::int64_t padded(std::int64_t rows) const noexcept;

  const BatchSettings settings_;
  Metrics& metrics_;
  DirectExecutor direct_;
  std::atomic<std::int64_t> waiting_rows_{0};
  std::mutex mutex_;
  std::condition_variable changed_;
  std::map<Key, Queue> queues_;
  bool ending_ = false;
  std::vector<std::thread> threads_;
};

}  // namespace slip::serving
