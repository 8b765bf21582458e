#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>

#include "launch/native.h"

namespace slip::model {

/// Sends HTTP requests to a server in the network namespace of `target`, one after another, from a process of its own
/// that enters that namespace (it must have one thread) and has no right there.
///
/// @param requests  one JSON array per line: ["GET" or "POST", path, body]
/// @return          one JSON array per line: [status, body]; status 0: no answer, body says why
std::string ask_inside(pid_t target, std::uint16_t port, const launch::HostId& id, const std::string& requests);

}  // namespace slip::model
