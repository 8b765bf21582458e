#pragma once

#include <sys/types.h>

#include <functional>
#include <vector>

#include "launch/native.h"
#include "os/fd.h"
#include "os/process.h"

/// Small processes of ours beside a workspace.
namespace slip::launch {

/// Runs `body` in a copy of this process, which must have one thread. The copy keeps only the descriptors of `keep` and
/// the standard streams, is killed when the calling thread ends, and is not passed on our signal mask. Its status is 1
/// when `body` throws (the message goes to stderr), else 0.
os::Child start_companion(const std::vector<int>& keep, const std::function<void()>& body);

/// Moves this process (one thread) into the network namespace of `target`, through its user namespace unless we are root.
void enter_network(pid_t target);

/// Gives up every capability and, for root, becomes `id`; nothing can be gained back.
void drop_everything(const HostId& id);

}  // namespace slip::launch
