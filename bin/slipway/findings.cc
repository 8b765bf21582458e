#include "findings.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/format.h"

namespace slip::cli {
namespace {

nlohmann::json or_null(const std::string& text) { return text.empty() ? nlohmann::json() : nlohmann::json(text); }

}  // namespace

nlohmann::json to_json(const std::vector<Finding>& findings) {
  nlohmann::json checks = nlohmann::json::array();
  for (const Finding& f : findings) {
    checks.push_back({{"id", f.id},
                      {"title", f.title},
                      {"ok", f.ok},
                      {"found", or_null(f.found)},
                      {"wanted", or_null(f.wanted)},
                      {"hint", or_null(f.hint)},
                      {"exception", or_null(f.exception)}});
  }
  return checks;
}

void print_findings(const std::vector<Finding>& findings, Session& s) {
  if (s.json()) {
    return;
  }
  std::size_t width = 0;
  for (const Finding& f : findings) {
    width = std::max(width, f.id.size());
  }
  for (const Finding& f : findings) {
    const std::string_view word = !f.ok ? "FAIL" : f.exception.empty() ? "ok" : "but";
    const Style style = !f.ok ? Style::Failed : f.exception.empty() ? Style::Done : Style::Warning;
    const std::string padded = s.out().paint(style, word) + std::string(4 - word.size(), ' ');
    s.print(format("{}  {:<{}}  {}: {}", padded, f.id, width, f.title, f.found));
    const std::string indent(width + 8, ' ');
    if (!f.ok) {
      s.print(format("{}wanted: {}", indent, f.wanted));
      if (!f.hint.empty()) {
        s.print(format("{}hint: {}", indent, f.hint));
      }
    } else if (!f.exception.empty()) {
      s.print(format("{}because: {}", indent, f.exception));
    }
  }
}

}  // namespace slip::cli
