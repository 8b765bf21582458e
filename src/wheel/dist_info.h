#pragma once

#include <string>
#include <string_view>
#include <vector>

/// The text files of a dist-info folder.
namespace slip::wheel {

/// One row of RECORD.
struct RecordRow {
  std::string path;  ///< relative to the site folder, as it is written
  std::string hash;  ///< "sha256=…" in URL-safe base64; empty for RECORD itself
  std::string size;  ///< decimal bytes, or empty
  bool operator==(const RecordRow&) const = default;
};

/// Reads RECORD; rows of fewer than three fields are left out.
/// @source PyPA recording-installed-packages "The RECORD file"; RFC 4180 for quoting
std::vector<RecordRow> parse_record(std::string_view text);
/// A row with its line end; what parse_record() reads again.
std::string record_line(const RecordRow& row);

/// One command of entry_points.txt.
struct EntryPoint {
  std::string name;
  std::string module;
  std::string object;  ///< "main", "App.run"
};

/// The console_scripts and gui_scripts, sorted by name. `file` stands in messages.
/// @throws Error Invalid for a name that leads out of bin/ or shadows the interpreter, and for a target that is not
///         "module:object"
/// @source PyPA entry-points specification
std::vector<EntryPoint> parse_entry_points(std::string_view text, const std::string& file);

/// Normalised names of everything METADATA may require, whatever the markers and extras; sorted, each once.
/// @source PyPA core-metadata "Requires-Dist"
std::vector<std::string> parse_required_names(std::string_view metadata);

}  // namespace slip::wheel
