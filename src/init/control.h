#pragma once

#include "init/supervisor.h"

namespace slip::init {

/// "@name" is an abstract socket: it needs no folder to write to, lives in the network namespace, and answers processes
/// of our own user only.
bool is_abstract(const char* path);

/// Makes the socket, readable and writable by our user alone; whatever socket of a former run lies there goes.
/// @return its descriptor, or -1 with errno
int open_control(const char* path);

/// Takes one connection: reads a request line (`status`, `start NAME`, `stop NAME`, `restart NAME`) and answers one
/// line of JSON. Who is slow to ask gets no answer: nobody may hold us up.
void serve_control(int listener, Supervisor& supervisor);

/// The other side, for health checks: asks the slipway-init that listens there for its status and prints the answer.
/// @return true when every service is ready, ended well or was rightly skipped; errno tells when nobody answered
bool ask_health(const char* path);

}  // namespace slip::init
