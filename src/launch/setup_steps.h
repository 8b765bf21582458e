#pragma once

#include "launch/setup.h"

/// Steps that the native launcher's child and the one around an OCI runtime have in common; the rules of setup.h hold.
namespace slip::launch::child {

/// Sends one record, with a descriptor when `fd` is one.
void send_record(const Setup& setup, const Record& record, int fd) noexcept;
/// Ends the process when the launcher goes before it has set ids and cgroups.
void wait_for_go(const Setup& setup) noexcept;
/// From here on our death follows the launcher's; the one that died before this line is seen by its closed socket.
void tie_to_parent(const Setup& setup) noexcept;
/// @param listener  see ChildOptions::listener. @return the descriptor, or 0
int install_filter(const Setup& setup, bool listener) noexcept;
/// in, out and err become 0, 1 and 2, everything else is closed by exec.
void connect_streams(const Setup& setup) noexcept;
/// Every signal as a fresh process has it.
void reset_signals() noexcept;

}  // namespace slip::launch::child
