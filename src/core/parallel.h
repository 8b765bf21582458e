#pragma once

#include <cstddef>
#include <functional>

namespace slip {

/// Number of jobs that `jobs` stands for: 0 means one per usable core (sched_getaffinity).
std::size_t effective_jobs(std::size_t jobs) noexcept;

/// Runs body(i) for i in [0, count) on up to `jobs` threads (0: one per core), in order of i as far as they start.
/// The first exception stops further starts and is rethrown here once all running bodies have ended.
void parallel_for(std::size_t count, std::size_t jobs, const std::function<void(std::size_t)>& body);

}  // namespace slip
