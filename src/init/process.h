#pragma once

#include <signal.h>
#include <sys/types.h>

#include "init/config.h"

namespace slip::init {

/// Signals as we found them, given back to every child.
struct Inherited {
  sigset_t mask;
  bool child_ignored = false;  ///< SIGCHLD was ignored: we cannot have that, children may
};

/// Every signal there is. The library's sigfillset leaves out those that it uses itself, and musl's are others than
/// glibc's, whose SIGRTMIN (34) and SIGRTMIN+3 (37, systemd's for a machine to halt) are what everybody sends.
sigset_t every_signal();
constexpr int kHalt = 37;

/// Blocks every signal that can be blocked and makes SIGCHLD reach us. @return what was there before
Inherited take_signals();

/// A child that was started: its pid, or why not.
struct Child {
  pid_t pid = -1;
  int error = 0;     ///< errno of fork
  int exec_fd = -1;  ///< end of file: the program runs; four bytes: the errno why it does not
  int out = -1;      ///< services: what they print
  int err = -1;
};

/// Starts a service in a session of its own, with /dev/null as stdin and pipes as stdout and stderr.
/// @param notify_socket  value of NOTIFY_SOCKET, or nullptr
Child start_service(const Service& service, const char* notify_socket, char** environment, const Inherited& inherited);

/// Starts the main command with our own terminal, stdin, stdout and stderr. @param group  in a process group of its own
Child start_command(char** argv, bool group, const Inherited& inherited);

/// Every process there is but us (as PID 1), or our descendants (as any other): signals them.
/// Never kill(-1) unless we are PID 1. @return how many there are; 0 also when /proc is not there
unsigned signal_all(int signal);

}  // namespace slip::init
