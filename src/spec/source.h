#pragma once

#include <string>
#include <string_view>

#include "core/error.h"
#include "spec/spec.h"

namespace slip::spec {

/// The text of a file the user wrote, for errors that show the line. Owned by the caller of a parse.
struct SourceText {
  std::string file;  ///< its name in messages and places
  std::string_view text;

  [[nodiscard]] Place place(int line, int column) const { return {file, line, column}; }
};

/// "slipway.yaml:4:3".
std::string to_string(const Place& place);

/// An Error Invalid "FILE:LINE:COLUMN: MESSAGE" whose cause is the line with a caret below:
///
///       4 | requirments:
///         | ^~~~~~~~~~~
///
/// @param length  bytes to underline, at least 1; what lies behind the line's end is cut off
Error error_at(const SourceText& source, const Place& place, std::size_t length, const std::string& message);

/// The excerpt alone; empty when the place is not in the text.
std::string excerpt(const SourceText& source, const Place& place, std::size_t length);

}  // namespace slip::spec
