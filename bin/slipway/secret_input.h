#pragma once

#include <string>

namespace slip::cli {

/// One line of standard input. On a terminal `prompt` is shown first.
std::string ask_line(const char* prompt);
/// The same without showing what is typed.
std::string ask_secret(const char* prompt);

}  // namespace slip::cli
