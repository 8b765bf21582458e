#include "serving/models/statistics.h"

#include <chrono>

namespace slip::serving {
namespace {

void add(Statistics::Total& total, Clock::duration took, std::uint64_t times = 1) {
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(took).count();
  total.count += times;
  total.ns += static_cast<std::uint64_t>(ns) * times;
}

std::uint64_t wall_ms() {
  const auto since = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::milliseconds>(since).count());
}

}  // namespace

void Statistics::note_request(bool succeeded, Clock::duration took) {
  const std::uint64_t ms = wall_ms();
  const std::lock_guard lock(mutex_);
  now_.last_request_ms = ms;
  add(succeeded ? now_.success : now_.fail, took);
}

void Statistics::note_queue(Clock::duration waited) {
  const std::lock_guard lock(mutex_);
  add(now_.queue, waited);
}

void Statistics::note_run(const Share& share, Clock::duration took) {
  const std::lock_guard lock(mutex_);
  add(now_.compute, took, share.requests);
  now_.inferences += share.inferences;
  ++now_.executions;
  if (share.batch > 0 && (now_.batches.size() < kMostSizes || now_.batches.contains(share.batch))) {
    add(now_.batches[share.batch], took);
  }
}

Statistics::Snapshot Statistics::snapshot() const {
  const std::lock_guard lock(mutex_);
  return now_;
}

}  // namespace slip::serving
