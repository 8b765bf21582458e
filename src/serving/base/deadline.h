#pragma once

#include <chrono>

namespace slip::serving {

using Clock = std::chrono::steady_clock;
/// When a request's client stops waiting; kNoDeadline: never.
using Deadline = Clock::time_point;
inline constexpr Deadline kNoDeadline = Deadline::max();

}  // namespace slip::serving
