#include "wheel/dist_info.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "wheel/name.h"

namespace slip::wheel {
namespace {

/// Takes one field off the front of `text`; what stands behind it ('\0' at the end) goes into `border`.
std::string take_field(std::string_view& text, char& border) {
  std::string field;
  bool quoted = false;
  std::size_t i = 0;
  for (; i < text.size() && (quoted || (text[i] != ',' && text[i] != '\n')); ++i) {
    if (text[i] != '"') {
      field += text[i];
    } else if (quoted && i + 1 < text.size() && text[i + 1] == '"') {
      field += text[i++];
    } else {
      quoted = !quoted;
    }
  }
  border = i < text.size() ? text[i] : '\0';
  if (border != ',' && i > 0 && text[i - 1] == '\r' && !quoted) {
    field.pop_back();  // the line ends in CR LF
  }
  text.remove_prefix(std::min(i + 1, text.size()));
  return field;
}

std::string quoted(const std::string& field) {
  if (field.find_first_of(",\"\r\n") == std::string::npos) {
    return field;
  }
  std::string out = "\"";
  for (const char c : field) {
    out += c == '"' ? "\"\"" : std::string(1, c);
  }
  return out + "\"";
}

/// A dotted Python name, as far as a launcher must not become other code.
bool is_dotted_name(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [](char c) {
    return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_' || c == '.';
  });
}

bool is_program_name(std::string_view name) {
  return !name.empty() && name.find('/') == std::string_view::npos && name.find('\0') == std::string_view::npos &&
         name != "." && name != ".." && name != "python" && name != "python3";
}

}  // namespace

std::vector<RecordRow> parse_record(std::string_view text) {
  std::vector<RecordRow> rows;
  while (!text.empty()) {
    std::vector<std::string> fields;
    char border = ',';
    while (border == ',') {
      fields.push_back(take_field(text, border));
    }
    if (fields.size() == 3 && !fields[0].empty()) {
      rows.push_back({std::move(fields[0]), std::move(fields[1]), std::move(fields[2])});
    }
  }
  return rows;
}

std::string record_line(const RecordRow& row) {
  return quoted(row.path) + "," + quoted(row.hash) + "," + quoted(row.size) + "\n";
}

std::vector<EntryPoint> parse_entry_points(std::string_view text, const std::string& file) {
  std::vector<EntryPoint> found;
  bool scripts = false;
  for (const std::string_view raw : split(text, '\n')) {
    const std::string_view line = trim(raw.substr(0, raw.find('#')));
    if (line.starts_with('[')) {
      scripts = line == "[console_scripts]" || line == "[gui_scripts]";
      continue;
    }
    const std::size_t equals = line.find('=');
    if (!scripts || equals == std::string_view::npos) {
      continue;
    }
    const std::string_view name = trim(line.substr(0, equals));
    std::string_view target = line.substr(equals + 1);
    target = trim(target.substr(0, target.find('[')));
    const std::size_t colon = target.find(':');
    const std::string_view module = trim(target.substr(0, colon));
    const std::string_view object = colon == std::string_view::npos ? "" : trim(target.substr(colon + 1));
    if (!is_program_name(name) || !is_dotted_name(module) || !is_dotted_name(object)) {
      throw Error(ErrorKind::Invalid, "{}: the entry point `{}` is not allowed", file, printable(line));
    }
    found.push_back({std::string(name), std::string(module), std::string(object)});
  }
  std::sort(found.begin(), found.end(), [](const EntryPoint& a, const EntryPoint& b) { return a.name < b.name; });
  return found;
}

std::vector<std::string> parse_required_names(std::string_view metadata) {
  std::set<std::string> names;
  for (const std::string_view line : split(metadata, '\n')) {
    if (trim(line).empty()) {
      break;  // the description follows
    }
    if (line.starts_with("Requires-Dist:")) {
      names.insert(requirement_name(line.substr(14)));
    }
  }
  return {names.begin(), names.end()};
}

}  // namespace slip::wheel
