#pragma once

#include <string>
#include <string_view>

namespace slip::cli {

/// The closed list of verbs: what a task is called while it runs and once it has ended ("Downloading" → "Downloaded").
/// A verb that is missing here is shown as it is; a test reads the sources and names it.
std::string_view past_of(std::string_view participle) noexcept;

/// The command that does this says in a line of its own what came of it: the end of the task is no second one.
bool is_told_by_command(std::string_view participle) noexcept;

/// How often a redraw or a heartbeat needs a verb in the middle of a line: "Downloading" → "downloading".
std::string lowered(std::string_view verb);

}  // namespace slip::cli
