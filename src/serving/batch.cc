#include "serving/batch.h"

#include <algorithm>

#include "serving/text_format.h"

namespace slip::serving {
namespace {

/// Number of rows of every input; a failure when they differ or an input has none.
Result<std::int64_t> common_rows(const RunCall& call) {
  std::int64_t rows = -1;
  for (const Tensor& tensor : call.inputs) {
    const Shape shape = tensor.shape();
    if (shape.empty()) {
      return invalid("Batching Run() input tensors must have at least one dimension");
    }
    if (rows >= 0 && shape[0] != rows) {
      return invalid("Batching Run() input tensors must have equal 0th-dimension size");
    }
    rows = shape[0];
  }
  return rows;
}

Tensor join_inputs(const TfApi& api, const std::vector<const Tensor*>& parts, std::int64_t rows) {
  TensorBuilder builder(api, parts[0]->type());
  Shape shape = parts[0]->shape();
  std::int64_t have = 0;
  for (const Tensor* part : parts) {
    const std::int64_t more = part->shape()[0];
    append_rows(*part, 0, more, builder);
    have += more;
  }
  for (; have < rows; ++have) {  // padding repeats a row that the model accepts for certain
    append_rows(*parts.back(), 0, 1, builder);
  }
  shape[0] = rows;
  return builder.finish(shape);
}

/// `from` cut into one tensor per task.
std::vector<Tensor> cut(const TfApi& api, const std::vector<Tensor>& from, std::int64_t begin, std::int64_t end) {
  std::vector<Tensor> parts;
  for (const Tensor& tensor : from) {
    TensorBuilder builder(api, tensor.type());
    append_rows(tensor, begin, end, builder);
    Shape shape = tensor.shape();
    shape[0] = end - begin;
    parts.push_back(builder.finish(shape));
  }
  return parts;
}

}  // namespace

Result<BatchSettings> read_batch_settings(std::string_view text) {
  const auto root = read_text_format(text);
  if (!root) {
    return tl::unexpected(root.error());
  }
  BatchSettings settings;
  const TextReader reader(*root, "tensorflow.serving.BatchingParameters");
  for (const TextField& field : reader.fields()) {
    std::int64_t* into = field.name == "max_batch_size"         ? &settings.max_batch_size
                         : field.name == "batch_timeout_micros" ? &settings.batch_timeout_micros
                         : field.name == "max_enqueued_batches" ? &settings.max_enqueued_batches
                         : field.name == "num_batch_threads"    ? &settings.num_batch_threads
                                                                : nullptr;
    if (field.name == "allowed_batch_sizes") {
      const auto size = reader.number(field);
      if (!size) {
        return tl::unexpected(size.error());
      }
      settings.allowed_batch_sizes.push_back(*size);
      continue;
    }
    if (field.name == "thread_pool_name") {
      continue;  // names a row of TensorFlow Serving's own metrics
    }
    if (into == nullptr) {
      return reader.unknown(field);
    }
    const auto message = reader.message(field);
    if (!message) {
      return tl::unexpected(message.error());
    }
    const TextReader wrapper(**message, "google.protobuf.Int64Value");
    for (const TextField& value : wrapper.fields()) {
      const auto number = value.name == "value" ? wrapper.number(value) : Result<std::int64_t>(wrapper.unknown(value));
      if (!number || *number < 0) {
        return number ? Result<BatchSettings>(invalid(field.name + " is negative"))
                      : Result<BatchSettings>(tl::unexpected(number.error()));
      }
      *into = *number;
    }
  }
  const auto& sizes = settings.allowed_batch_sizes;
  if (settings.max_batch_size < 1 || !std::ranges::is_sorted(sizes) ||
      (!sizes.empty() && (sizes.front() < 1 || sizes.back() != settings.max_batch_size))) {
    return invalid("allowed_batch_sizes must ascend and end with max_batch_size");
  }
  return settings;
}

BatchingExecutor::BatchingExecutor(BatchSettings settings, Metrics& metrics)
    : settings_(std::move(settings)), metrics_(metrics) {
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

void BatchingExecutor::run(RunCall call, RunDone done) {
  if (call.inputs.empty()) {
    return direct_.run(std::move(call), std::move(done));
  }
  const auto rows = common_rows(call);
  if (!rows || *rows > settings_.max_batch_size) {
    return done(rows ? invalid("Task size " + std::to_string(*rows) + " is larger than maximum input batch size " +
                               std::to_string(settings_.max_batch_size))
                     : tl::unexpected(rows.error()));
  }
  if (*rows == 0) {
    return direct_.run(std::move(call), std::move(done));
  }
  Key key{call.servable.get(), call.method, call.outputs, {}};
  for (const Tensor& tensor : call.inputs) {
    Shape shape = tensor.shape();
    shape.erase(shape.begin());
    key.inner.push_back(std::move(shape));
  }
  {
    const std::lock_guard lock(mutex_);
    Queue& queue = queues_[std::move(key)];
    if (queue.rows + *rows <= settings_.max_enqueued_batches * settings_.max_batch_size) {
      queue.rows += *rows;
      queue.tasks.push_back({std::move(call), std::move(done), *rows, Clock::now()});
      changed_.notify_one();
      return;
    }
  }
  done(fail(Code::Unavailable, "The batch scheduling queue to which this task was submitted is full"));
}

/// Takes one batch that is full or has waited long enough; else `next` is when one will have. @pre mutex_ is held
bool BatchingExecutor::take_batch(std::vector<Task>& batch, Clock::time_point& next) {
  const auto now = Clock::now();
  const auto patience = std::chrono::microseconds(settings_.batch_timeout_micros);
  auto oldest = queues_.end();
  for (auto it = queues_.begin(); it != queues_.end(); ++it) {
    const auto ripe = it->second.tasks.front().arrived + patience;
    const bool ready = ending_ || it->second.rows >= settings_.max_batch_size || ripe <= now;
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
  while (!queue.tasks.empty() && rows + queue.tasks.front().rows <= settings_.max_batch_size) {
    rows += queue.tasks.front().rows;
    batch.push_back(std::move(queue.tasks.front()));
    queue.tasks.pop_front();
  }
  queue.rows -= rows;
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
  for (Task& task : batch) {
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
  const std::string& model = batch[0].call.servable->name;
  metrics_.counter("slipway_serving_batches_total", {{"model_name", model}}).fetch_add(1, std::memory_order_relaxed);
  metrics_.counter("slipway_serving_batched_requests_total", {{"model_name", model}})
      .fetch_add(batch.size(), std::memory_order_relaxed);
  if (batch.size() == 1 && padded(rows) == rows) {
    return direct_.run(std::move(batch[0].call), std::move(batch[0].done));
  }
  RunCall joined{batch[0].call.servable, batch[0].call.method, {}, batch[0].call.outputs, deadline};
  for (std::size_t i = 0; i < batch[0].call.inputs.size(); ++i) {
    std::vector<const Tensor*> parts;
    for (const Task& task : batch) {
      parts.push_back(&task.call.inputs[i]);
    }
    joined.inputs.push_back(join_inputs(joined.servable->model->api(), parts, padded(rows)));
  }
  const std::int64_t total = padded(rows);
  direct_.run(std::move(joined),
              [&](Result<std::vector<Tensor>> outputs) { answer(batch, std::move(outputs), total); });
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
      task.done(cut(task.call.servable->model->api(), *outputs, at, at + task.rows));
    } else {
      task.done(tl::unexpected(outputs.error()));
    }
    at += task.rows;
  }
}

}  // namespace slip::serving
