#include "spec/source.h"

#include <algorithm>

#include "core/text.h"

namespace slip::spec {
namespace {

constexpr std::size_t kShown = 90;   // bytes of a line
constexpr std::size_t kBefore = 60;  // of these before the caret, when the line is longer

std::string_view line_of(std::string_view text, int line) {
  for (int i = 1; i < line; ++i) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) {
      return {};
    }
    text.remove_prefix(end + 1);
  }
  std::string_view found = text.substr(0, text.find('\n'));
  if (found.ends_with('\r')) {
    found.remove_suffix(1);
  }
  return found;
}

bool continues(char c) { return (static_cast<unsigned char>(c) & 0xC0U) == 0x80U; }

/// Cells that the printed form takes: one per character, as long as nobody writes specs in wide scripts.
std::size_t cells(std::string_view text) {
  const std::string shown = printable(text);
  return static_cast<std::size_t>(std::count_if(shown.begin(), shown.end(), [](char c) { return !continues(c); }));
}

}  // namespace

std::string to_string(const Place& place) { return format("{}:{}:{}", place.file, place.line, place.column); }

std::string excerpt(const SourceText& source, const Place& place, std::size_t length) {
  std::string_view line = line_of(source.text, place.line);
  std::size_t at = static_cast<std::size_t>(std::max(place.column, 1) - 1);
  if (place.line < 1 || (line.empty() && at > 0)) {
    return {};
  }
  at = std::min(at, line.size());
  std::string_view lead;
  if (line.size() > kShown) {
    std::size_t from = at > kBefore ? at - kBefore : 0;
    while (from < line.size() && continues(line[from])) {
      ++from;
    }
    std::size_t until = std::min(line.size(), from + kShown);
    while (until > from && until < line.size() && continues(line[until])) {
      --until;
    }
    lead = from > 0 ? "…" : "";
    line = line.substr(from, until - from);
    at = std::min(std::max(at, from) - from, line.size());  // bytes that are no UTF-8 may have moved the window past it
  }
  length = std::max<std::size_t>(1, std::min(length, line.size() - std::min(at, line.size())));
  // Tabs would throw the caret off: both lines show one blank for each.
  std::string shown(line);
  std::replace(shown.begin(), shown.end(), '\t', ' ');
  const std::string_view head = std::string_view(shown).substr(0, at);
  const std::string_view marked = std::string_view(shown).substr(at, length);
  const std::string number = format("{:>5}", place.line);
  return format("{} | {}{}\n{} | {}^{}", number, lead, printable(shown), std::string(number.size(), ' '),
                std::string(cells(head) + (lead.empty() ? 0 : 1), ' '),
                std::string(std::max<std::size_t>(cells(marked), 1) - 1, '~'));
}

Error error_at(const SourceText& source, const Place& place, std::size_t length, const std::string& message) {
  // Messages quote what the user wrote, and a terminal must not obey it.
  Error error(ErrorKind::Invalid, "{}: {}", printable(to_string(place)), printable(message));
  if (std::string shown = excerpt(source, place, length); !shown.empty()) {
    error.add_cause(std::move(shown));
  }
  return error;
}

}  // namespace slip::spec
