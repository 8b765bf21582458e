#pragma once

namespace slip::serving {

/// Tells the process manager that everything serves: READY=1 to the socket that NOTIFY_SOCKET names. Without it:
/// nothing.
/// @source sd_notify(3)
void notify_ready() noexcept;

}  // namespace slip::serving
