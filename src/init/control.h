#pragma once

#include "init/supervisor.h"

namespace slip::init {

/// Makes the socket, readable and writable by our user alone; whatever socket of a former run lies there goes.
/// @return its descriptor, or -1 with errno
int open_control(const char* path);

/// Takes one connection: reads a request line (`status`, `start NAME`, `stop NAME`, `restart NAME`) and answers one
/// line of JSON. Who is slow to ask gets no answer: nobody may hold us up.
void serve_control(int listener, Supervisor& supervisor);

}  // namespace slip::init
