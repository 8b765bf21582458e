#include "core/parallel.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace slip {

std::size_t effective_jobs(std::size_t jobs) noexcept {
  if (jobs != 0) {
    return jobs;
  }
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    return 1;
  }
  return static_cast<std::size_t>(std::max(1, CPU_COUNT(&set)));
}

void parallel_for(std::size_t count, std::size_t jobs, const std::function<void(std::size_t)>& body) {
  const std::size_t threads = std::min(effective_jobs(jobs), count);
  std::atomic<std::size_t> next{0};
  std::exception_ptr first;
  std::mutex guard;
  const auto work = [&] {
    while (true) {
      const std::size_t i = next.fetch_add(1);
      if (i >= count) {
        return;
      }
      try {
        body(i);
      } catch (...) {
        const std::lock_guard lock(guard);
        if (!first) {
          first = std::current_exception();
        }
        next = count;
        return;
      }
    }
  };
  if (threads <= 1) {
    work();
  } else {
    std::vector<std::jthread> pool;
    pool.reserve(threads);
    for (std::size_t t = 0; t < threads; ++t) {
      pool.emplace_back(work);
    }
  }
  if (first) {
    std::rethrow_exception(first);
  }
}

}  // namespace slip
