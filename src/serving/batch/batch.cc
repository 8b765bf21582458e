#include "serving/batch/batch.h"

#include <algorithm>

#include "serving/batch/rows.h"

namespace slip::serving {
namespace {

/// A request that runs in several batches: its pieces' outputs until the last one is there.
struct Pieces {
  RunDone done;
  std::vector<Result<std::vector<Tensor>>> outputs;
  std::atomic<std::size_t> missing;

  void finish(const TfApi& api) {
    for (auto& piece : outputs) {
      if (!piece) {
        return done(tl::unexpected(piece.error()));
      }
    }
    std::vector<Tensor> joined;
    for (std::size_t i = 0; i < outputs[0]->size(); ++i) {
      std::vector<const Tensor*> parts;
      std::int64_t rows = 0;
      for (const auto& piece : outputs) {
        parts.push_back(&(*piece)[i]);
        rows += parts.back()->shape()[0];
      }
      joined.push_back(join_rows(api, parts, rows));
    }
    done(std::move(joined));
  }
};

/// `done`, after the version's statistics have noted how the request ended.
RunDone noted(ServableRef servable, RunDone done) {
  return [servable = std::move(servable), done = std::move(done),
          start = Clock::now()](Result<std::vector<Tensor>> outputs) {
    servable->statistics.note_request(outputs.has_value(), Clock::now() - start);
    done(std::move(outputs));
  };
}

}  // namespace

BatchingExecutor::BatchingExecutor(BatchSettings settings, Metrics& metrics)
    : settings_(std::move(settings)), metrics_(metrics), direct_(metrics) {
  metrics.gauge("slipway_serving_queued_rows", [this] { return static_cast<double>(waiting_rows_.load()); });
  const auto threads = settings_.num_batch_threads > 0 ? static_cast<unsigned>(settings_.num_batch_threads)
                                                       : std::max(1u, std::thread::hardware_concurrency());
  for (unsigned i = 0; i < threads; ++i) {
    threads_.emplace_back([this] { work(); });
  }
}

BatchingExecutor::~BatchingExecutor() {
  {
    const std::lock_guard lock(mutex_);
    ending_ = true;
    changed_.notify_all();
  }
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

BatchingExecutor::Key BatchingExecutor::key_of(const RunCall& call) const {
  Key key{call.servable.get(), call.method, call.outputs, {}};
  for (const Tensor& tensor : call.inputs) {
    Shape shape = tensor.shape();
    shape.erase(shape.begin());
    key.inner.push_back(settings_.pad_variable_length_inputs ? Shape(shape.size(), -1) : std::move(shape));
  }
  return key;
}

void BatchingExecutor::run(RunCall call, RunDone done) {
  if (call.inputs.empty()) {
    return direct_.run(std::move(call), std::move(done));
  }
  done = noted(call.servable, std::move(done));
  const auto rows = common_rows(call);
  if (!rows || (*rows > settings_.max_batch_size && !settings_.enable_large_batch_splitting)) {
    return done(rows ? invalid("Task size " + std::to_string(*rows) + " is larger than maximum input batch size " +
                               std::to_string(settings_.max_batch_size))
                     : tl::unexpected(rows.error()));
  }
  if (*rows == 0) {
    return done(direct_.execute(call, {1, 0}));
  }
  std::vector<Task> tasks;
  if (*rows > settings_.most_rows()) {
    tasks = split(std::move(call), std::move(done), *rows, settings_.most_rows());
  } else {
    tasks.push_back({std::move(call), std::move(done), *rows, Clock::now()});
  }
  if (!enqueue(tasks)) {
    for (Task& task : tasks) {
      task.done(fail(Code::Unavailable, "The batch scheduling queue to which this task was submitted is full"));
    }
  }
}

/// All tasks of one request, or none: false when the queue has no room for them.
bool BatchingExecutor::enqueue(std::vector<Task>& tasks) {
  Key key = key_of(tasks[0].call);
  std::int64_t rows = 0;
  for (const Task& task : tasks) {
    rows += task.rows;
  }
  const std::lock_guard lock(mutex_);
  const auto found = queues_.find(key);
  const std::int64_t waiting = found == queues_.end() ? 0 : found->second.rows;
  // A request larger than the whole queue gets in when nothing waits, or it never would.
  const bool alone = waiting == 0 && rows > settings_.max_batch_size;
  if (!alone && waiting + rows > settings_.max_enqueued_batches * settings_.max_batch_size) {
    return false;
  }
  Queue& queue = queues_[std::move(key)];
  queue.rows += rows;
  waiting_rows_.fetch_add(rows, std::memory_order_relaxed);
  for (Task& task : tasks) {
    queue.tasks.push_back(std::move(task));
    changed_.notify_one();
  }
  return true;
}

/// One task per piece of at most `most` rows.
std::vector<BatchingExecutor::Task> BatchingExecutor::split(RunCall call, RunDone done, std::int64_t rows,
                                                            std::int64_t most) {
  const auto count = static_cast<std::size_t>((rows + most - 1) / most);
  auto all = std::make_shared<Pieces>();
  all->done = std::move(done);
  all->outputs.resize(count);
  all->missing = count;
  const TfApi& api = call.servable->model->api();
  std::vector<Task> tasks;
  for (std::size_t i = 0; i < count; ++i) {
    const std::int64_t begin = static_cast<std::int64_t>(i) * most;
    const std::int64_t end = std::min(rows, begin + most);
    RunCall piece{call.servable, call.method,   cut_rows(api, call.inputs, begin, end),
                  call.outputs,  call.deadline, call.api};
    tasks.push_back({std::move(piece),
                     [all, i, &api](Result<std::vector<Tensor>> outputs) {
                       all->outputs[i] = std::move(outputs);
                       if (all->missing.fetch_sub(1) == 1) {
                         all->finish(api);
                       }
                     },
                     end - begin, Clock::now()});
  }
  return tasks;
}

/// Takes one batch that is full or has waited long enough; else `next` is when one will have. @pre mutex_ is held
bool BatchingExecutor::take_batch(std::vector<Task>& batch, Clock::time_point& next) {
  const auto now = Clock::now();
  const auto patience = std::chrono::microseconds(settings_.batch_timeout_micros);
  auto oldest = queues_.end();
  for (auto it = queues_.begin(); it != queues_.end(); ++it) {
    const auto ripe = it->second.tasks.front().arrived + patience;
    const bool ready = ending_ || it->second.rows >= settings_.most_rows() || ripe <= now;
    if (!ready) {
      next = std::min(next, ripe);
    } else if (oldest == queues_.end() || it->second.tasks.front().arrived < oldest->second.tasks.front().arrived) {
      oldest = it;
    }
  }
  if (oldest == queues_.end()) {
    return false;
  }
  Queue& queue = oldest->second;
  std::int64_t rows = 0;
  while (!queue.tasks.empty() && rows + queue.tasks.front().rows <= settings_.most_rows()) {
    rows += queue.tasks.front().rows;
    batch.push_back(std::move(queue.tasks.front()));
    queue.tasks.pop_front();
  }
  queue.rows -= rows;
  waiting_rows_.fetch_sub(rows, std::memory_order_relaxed);
  if (queue.tasks.empty()) {
    queues_.erase(oldest);
  }
  return true;
}

void BatchingExecutor::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    std::vector<Task> batch;
    auto next = Clock::now() + std::chrono::seconds(60);
    if (take_batch(batch, next)) {
      if (!queues_.empty()) {
        changed_.notify_one();
      }
      lock.unlock();
      run_batch(std::move(batch));
      lock.lock();
    } else if (ending_) {
      return;
    } else {
      changed_.wait_until(lock, next);
    }
  }
}

std::int64_t BatchingExecutor::padded(std::int64_t rows) const noexcept {
  const auto& sizes = settings_.allowed_batch_sizes;
  const auto size = std::ranges::lower_bound(sizes, rows);
  return size == sizes.end() ? rows : *size;
}

void BatchingExecutor::run_batch(std::vector<Task> batch) {
  const auto now = Clock::now();
  Deadline deadline = Clock::time_point::min();
  std::int64_t rows = 0;
  Histogram& queueing = metrics_.histogram(":tensorflow:serving:batching_session:queuing_latency",
                                           {{"thread_pool_name", settings_.thread_pool_name}}, 100, 1.2, 52);
  for (Task& task : batch) {
    queueing.observe(std::chrono::duration<double, std::micro>(now - task.arrived).count());
    task.call.servable->statistics.note_queue(now - task.arrived);
    if (task.call.deadline <= now) {
      task.done(fail(Code::DeadlineExceeded, "the deadline passed while the request waited for its batch"));
      task.done = nullptr;
      continue;
    }
    deadline = std::max(deadline, task.call.deadline);
    rows += task.rows;
  }
  std::erase_if(batch, [](const Task& task) { return task.done == nullptr; });
  if (batch.empty()) {
    return;
  }
  const std::int64_t total = padded(rows);
  const Statistics::Share share{batch.size(), static_cast<std::uint64_t>(rows), total};
  const std::string& model = batch[0].call.servable->name;
  metrics_.counter("slipway_serving_batches_total", {{"model_name", model}}).fetch_add(1, std::memory_order_relaxed);
  metrics_.counter("slipway_serving_batched_requests_total", {{"model_name", model}})
      .fetch_add(batch.size(), std::memory_order_relaxed);
  metrics_.counter("slipway_serving_batch_rows_total", {{"model_name", model}})
      .fetch_add(static_cast<std::uint64_t>(rows), std::memory_order_relaxed);
  metrics_.counter("slipway_serving_batch_padding_rows_total", {{"model_name", model}})
      .fetch_add(static_cast<std::uint64_t>(total - rows), std::memory_order_relaxed);
  if (batch.size() == 1 && total == rows) {
    return batch[0].done(direct_.execute(batch[0].call, share));
  }
  RunCall joined{batch[0].call.servable, batch[0].call.method, {}, batch[0].call.outputs, deadline, batch[0].call.api};
  for (std::size_t i = 0; i < batch[0].call.inputs.size(); ++i) {
    std::vector<const Tensor*> parts;
    for (const Task& task : batch) {
      parts.push_back(&task.call.inputs[i]);
    }
    joined.inputs.push_back(join_rows(joined.servable->model->api(), parts, total));
  }
  answer(batch, direct_.execute(joined, share), total);
}

void BatchingExecutor::answer(std::vector<Task>& batch, Result<std::vector<Tensor>> outputs, std::int64_t rows) {
  if (outputs) {
    for (const Tensor& tensor : *outputs) {
      const Shape shape = tensor.shape();
      if (shape.empty() || shape[0] != rows) {
        outputs = fail(Code::FailedPrecondition,
                       "Batched output tensor's 0th dimension does not equal the sum of the 0th dimension sizes of the "
                       "input tensors");
        break;
      }
    }
  }
  std::int64_t at = 0;
  for (Task& task : batch) {
    if (outputs) {
      task.done(cut_rows(task.call.servable->model->api(), *outputs, at, at + task.rows));
    } else {
      task.done(tl::unexpected(outputs.error()));
    }
    at += task.rows;
  }
}

}  // namespace slip::serving
