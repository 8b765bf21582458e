#pragma once

#include "launch/child.h"

namespace slip::launch {

/// Joins the caller's terminal with the one inside until the command ends: keys, output, window size. The caller's
/// terminal is raw meanwhile (Ctrl-C is a key for the one inside) and put back afterwards, whatever happens.
void join_terminal(RunningChild& child, const Stdio& stdio, const os::Fd& signals);

}  // namespace slip::launch
