#include "spec/ignore.h"

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"

namespace slip::spec {
namespace {

constexpr std::size_t kFileLimit = 1U << 20;
constexpr std::size_t kPatternLimit = 1024;

/// Matches one byte against "[…]" at the front of `pattern`; returns its length, 0 when it is not closed.
std::size_t match_class(std::string_view pattern, char c, bool& matched) {
  std::size_t i = 1;
  const bool inverse = i < pattern.size() && (pattern[i] == '!' || pattern[i] == '^');
  i += inverse ? 1 : 0;
  bool found = false;
  for (bool first = true; i < pattern.size() && (first || pattern[i] != ']'); first = false) {
    char low = pattern[i];
    if (low == '\\' && i + 1 < pattern.size()) {
      low = pattern[++i];
    }
    char high = low;
    if (i + 2 < pattern.size() && pattern[i + 1] == '-' && pattern[i + 2] != ']') {
      i += 2;
      high = pattern[i];
      if (high == '\\' && i + 1 < pattern.size()) {
        high = pattern[++i];
      }
    }
    const auto at = static_cast<unsigned char>(c);
    found = found || (at >= static_cast<unsigned char>(low) && at <= static_cast<unsigned char>(high));
    ++i;
  }
  if (i >= pattern.size()) {
    return 0;
  }
  matched = found != inverse && c != '/';
  return i + 1;
}

/// One name against one pattern part without slashes; linear backtracking to the last `*`.
bool match_name(std::string_view pattern, std::string_view name) {
  std::size_t p = 0;
  std::size_t n = 0;
  std::size_t star = std::string_view::npos;
  std::size_t resume = 0;
  while (n < name.size()) {
    std::size_t step = 0;
    bool matched = false;
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = n;
      continue;
    }
    if (p < pattern.size()) {
      if (pattern[p] == '?') {
        step = 1;
        matched = true;
      } else if (pattern[p] == '[') {
        step = match_class(pattern.substr(p), name[n], matched);  // one that is not closed matches nothing
      } else if (pattern[p] == '\\' && p + 1 < pattern.size()) {
        step = 2;
        matched = pattern[p + 1] == name[n];
      } else {
        step = 1;
        matched = pattern[p] == name[n];
      }
    }
    if (matched) {
      p += step;
      ++n;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      n = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') {
    ++p;
  }
  return p == pattern.size();
}

bool match_parts(const std::vector<std::string_view>& pattern, const std::vector<std::string_view>& path) {
  // reach[j]: the pattern's parts so far match the path's first j parts.
  std::vector<bool> reach(path.size() + 1, false);
  reach[0] = true;
  for (std::size_t i = 0; i < pattern.size(); ++i) {
    std::vector<bool> next(path.size() + 1, false);
    if (pattern[i] == "**") {
      bool any = false;
      for (std::size_t j = 0; j <= path.size(); ++j) {
        any = any || reach[j];
        next[j] = any;
      }
      if (i + 1 == pattern.size()) {  // "a/**": what is inside, not a itself
        for (std::size_t j = path.size() + 1; j-- > 0;) {
          next[j] = j > 0 && next[j - 1];
        }
      }
    } else {
      for (std::size_t j = 0; j < path.size(); ++j) {
        next[j + 1] = reach[j] && match_name(pattern[i], path[j]);
      }
    }
    reach = std::move(next);
  }
  return reach[path.size()];
}

std::string_view strip(std::string_view path) {
  while (path.starts_with("./")) {
    path.remove_prefix(2);
  }
  while (path.starts_with('/')) {
    path.remove_prefix(1);
  }
  while (path.ends_with('/')) {
    path.remove_suffix(1);
  }
  return path;
}

}  // namespace

bool glob_match(std::string_view pattern, std::string_view text) {
  return match_parts(split(pattern, '/'), split(text, '/'));
}

IgnoreRules IgnoreRules::parse(std::string_view text) {
  IgnoreRules rules;
  for (std::string_view line : split(text, '\n')) {
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    while (line.ends_with(' ') && !line.ends_with("\\ ")) {
      line.remove_suffix(1);
    }
    if (line.empty() || line.starts_with('#')) {
      continue;
    }
    if (line.size() > kPatternLimit) {
      throw Error(ErrorKind::Invalid, ".slipwayignore: a pattern is longer than {} bytes", kPatternLimit);
    }
    Rule rule;
    if (line.starts_with('!')) {
      rule.negated = true;
      line.remove_prefix(1);
    }
    if (line.ends_with('/')) {
      rule.folders_only = true;
      line.remove_suffix(1);
    }
    rule.anchored = line.find('/') != std::string_view::npos;
    if (line.starts_with('/')) {
      line.remove_prefix(1);
    }
    if (line.empty()) {
      continue;
    }
    rule.pattern = std::string(line);
    rules.rules_.push_back(std::move(rule));
  }
  return rules;
}

IgnoreRules IgnoreRules::load(const std::filesystem::path& folder) {
  const auto text = os::read_file_if_any(folder / ".slipwayignore", kFileLimit);
  return text ? parse(*text) : IgnoreRules{};
}

bool IgnoreRules::decide(std::string_view path, bool is_folder) const {
  const std::string_view name = path.substr(path.find_last_of('/') + 1);
  for (auto rule = rules_.rbegin(); rule != rules_.rend(); ++rule) {
    if (rule->folders_only && !is_folder) {
      continue;
    }
    if (rule->anchored ? glob_match(rule->pattern, path) : match_name(rule->pattern, name)) {
      return !rule->negated;
    }
  }
  return false;
}

bool IgnoreRules::ignored(std::string_view path, bool is_folder) const {
  path = strip(path);
  if (rules_.empty() || path.empty() || path == ".") {
    return false;
  }
  for (std::size_t slash = path.find('/'); slash != std::string_view::npos; slash = path.find('/', slash + 1)) {
    if (decide(path.substr(0, slash), true)) {
      return true;
    }
  }
  return decide(path, is_folder);
}

}  // namespace slip::spec
