#pragma once

#include <span>
#include <string>

#include "command.h"
#include "options.h"
#include "terminal.h"

namespace slip::cli {

/// A heading of `slipway --help`.
struct Heading {
  Group group;
  const char* title;
};
std::span<const Heading> headings();

/// `slipway --help`: every command under its heading.
std::string overview(const Terminal& terminal);
/// `slipway COMMAND --help`: usage, what it does, its options, two examples.
std::string help_of(const Entry& entry, const Terminal& terminal);
/// The same page as Markdown: docs/reference/commands/COMMAND.md.
std::string markdown_of(const Entry& entry);
/// Every command under its heading, with links to their pages: docs/reference/commands.md.
std::string markdown_overview();
/// The row called `name`. @throws Error Usage with the nearest command as hint
const Entry& find_command(std::string_view name);

}  // namespace slip::cli
