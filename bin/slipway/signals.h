#pragma once

namespace slip::cli {

/// From now on SIGINT and SIGTERM end the process with 130 and 143 and one line on stderr: what was finished is kept
/// (everything durable is written by rename, so there is nothing to undo). SIGPIPE is ignored: a reader that leaves is
/// seen as a failed write.
/// @param quiet  says nothing
void handle_signals(bool quiet) noexcept;

/// While set, the handler first wipes what lies below the cursor on stderr.
void set_live_region(bool there) noexcept;

}  // namespace slip::cli
