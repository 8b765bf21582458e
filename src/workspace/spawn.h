#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace slip::workspace {

/// Starts `argv` in a session of its own that outlives us, with / as its folder, /dev/null as input and `log` as output,
/// and waits until it has written a byte to the descriptor whose number is added to argv, or has ended.
/// @throws Error Unavailable with what it wrote to the log when it ended first
void spawn_detached(std::vector<std::string> argv, const std::filesystem::path& log);

}  // namespace slip::workspace
