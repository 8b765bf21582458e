#pragma once

#include "init/text.h"

namespace slip::init {

/// What a descriptor of the loop is, in the upper half of its epoll data; below it, of which unit.
enum Tag : uint64_t { kSignals, kStreamsReady, kOutput, kControl, kExec, kNotify };
constexpr uint64_t tag_of(Tag kind, uint64_t index = 0) { return (static_cast<uint64_t>(kind) << 32) | index; }

constexpr uint64_t kPatienceMs = 200;  ///< a service waits at most so long for whoever reads our output

/// CLOCK_MONOTONIC in milliseconds.
uint64_t now_ms();

}  // namespace slip::init
