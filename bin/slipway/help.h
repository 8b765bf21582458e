#pragma once

#include <string>

#include "command.h"
#include "options.h"
#include "terminal.h"

namespace slip::cli {

/// `slipway --help`: every command under its heading.
std::string overview(const Terminal& terminal);
/// `slipway COMMAND --help`: usage, what it does, its options, two examples.
std::string help_of(const Entry& entry, const Terminal& terminal);
/// The same page as Markdown: docs/reference/commands/COMMAND.md.
std::string markdown_of(const Entry& entry);
/// The row called `name`. @throws Error Usage with the nearest command as hint
const Entry& find_command(std::string_view name);

}  // namespace slip::cli
