#pragma once

#include "launch/setup.h"

/// The file system part of run_child(); the rules of setup.h hold.
namespace slip::launch::child {

/// Sends a Failure with errno and ends the process.
[[noreturn]] void give_up(const Setup& setup, Step step, const char* detail) noexcept;

/// From the host's mount tree to the finished root of the sandbox, as the process's root and working directory.
void build_root(const Setup& setup) noexcept;

}  // namespace slip::launch::child
