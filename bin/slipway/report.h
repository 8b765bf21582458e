#pragma once

#include <string>

#include "core/error.h"
#include "terminal.h"

namespace slip::cli {

/// An error as people read it:
///
///   error: what was attempted
///     Caused by: why
///
///   hint: what to do
///
/// A cause that begins with a blank is an excerpt of a file and is shown as it is.
std::string render(const Error& error, const Terminal& terminal);
/// The same as one JSON record: kind, message, causes, hint (null when there is none).
std::string render_json(const Error& error);
/// 2 for a wrong command line and for what should not happen, otherwise 1.
int exit_status_of(const Error& error) noexcept;

/// Text as a JSON string, quotes included; bytes that are no UTF-8 are replaced.
std::string json_string(std::string_view text);

}  // namespace slip::cli
