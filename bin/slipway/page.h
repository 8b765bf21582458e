#pragma once

#include <string>
#include <vector>

#include "command.h"
#include "options.h"

namespace slip::cli {

/// An argument or option as a page shows it.
struct PageOption {
  std::string spelled;  ///< "-f, --file FILE"
  std::string meaning;  ///< what it does, its choices, default and variable
};

/// What a command's declarations say, ready for `--help`, the reference page and the manual page.
struct Page {
  std::string usage;               ///< "slipway lock [OPTIONS]"
  std::vector<std::string> about;  ///< paragraphs; backquotes around what is typed
  std::vector<PageOption> options;
  std::vector<Example> examples;
};
Page page_of(const Entry& entry);

}  // namespace slip::cli
