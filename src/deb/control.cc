#include "deb/control.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"

namespace slip::deb {
namespace {

char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool same_name(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() &&
         std::equal(a.begin(), a.end(), b.begin(), [](char x, char y) { return lower(x) == lower(y); });
}

/// "multi-arch" → "Multi-Arch", so that a map can be asked by one spelling. MD5sum and SHA256 keep theirs.
std::string usual_name(std::string_view name) {
  std::string text(name);
  bool start = true;
  for (char& c : text) {
    if (start && c >= 'a' && c <= 'z') {
      c = static_cast<char>(c - 'a' + 'A');
    }
    start = c == '-';
  }
  return text;
}

bool is_name_character(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.' ||
         (c >= 'A' && c <= 'Z') || c == '_';
}

}  // namespace

std::string_view Paragraph::get(std::string_view name) const noexcept {
  for (const auto& [key, value] : fields_) {
    if (same_name(key, name)) {
      return value;
    }
  }
  return {};
}

bool Paragraph::has(std::string_view name) const noexcept {
  return std::any_of(fields_.begin(), fields_.end(), [&](const auto& field) { return same_name(field.first, name); });
}

ControlReader::ControlReader(std::string_view text, std::string name, ControlLimits limits)
    : rest_(text), name_(std::move(name)), limits_(limits) {}

void ControlReader::fail(std::string what) const { throw Error(ErrorKind::Invalid, "{}:{}: {}", name_, line_, what); }

bool ControlReader::next_line(std::string_view& line) {
  if (rest_.empty()) {
    return false;
  }
  const std::size_t end = rest_.find('\n');
  line = rest_.substr(0, end);
  rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
  ++line_;
  return true;
}

bool ControlReader::next(Paragraph& into) {
  into.fields_.clear();
  std::size_t size = 0;
  std::string_view line;
  while (next_line(line)) {
    if (trim(line).empty()) {
      if (into.fields_.empty()) {
        continue;
      }
      break;
    }
    if (line.front() == '#') {
      continue;
    }
    size += line.size() + 1;
    if (size > limits_.max_paragraph) {
      fail(format("the paragraph is longer than {}", human_size(limits_.max_paragraph)));
    }
    if (line.front() == ' ' || line.front() == '\t') {
      if (into.fields_.empty()) {
        fail("a continuation line without a field before it");
      }
      std::string_view& value = into.fields_.back().second;
      value = std::string_view(value.data(), static_cast<std::size_t>(line.data() + line.size() - value.data()));
      continue;
    }
    const std::size_t colon = line.find(':');
    if (colon == std::string_view::npos || colon == 0 ||
        line.substr(0, colon).find_first_of(" \t") != std::string_view::npos) {
      fail(format("`{}` is no field", printable(line.substr(0, 80))));
    }
    if (into.fields_.empty()) {
      into.line_ = line_;
      if (++seen_ > limits_.max_paragraphs) {
        fail("too many paragraphs");
      }
    }
    if (into.fields_.size() == limits_.max_fields) {
      fail("too many fields in one paragraph");
    }
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    into.fields_.emplace_back(line.substr(0, colon), value);
  }
  return !into.fields_.empty();
}

std::map<std::string, std::string> parse_control(std::string_view text, const std::string& name) {
  ControlReader reader(text, name);
  Paragraph paragraph;
  if (!reader.next(paragraph)) {
    throw Error(ErrorKind::Invalid, "{}: no paragraph", name);
  }
  std::map<std::string, std::string> fields;
  for (const auto& [key, value] : paragraph.fields()) {
    if (!fields.emplace(usual_name(key), value).second) {
      throw Error(ErrorKind::Invalid, "{}: the field `{}` stands twice", name, printable(key));
    }
  }
  if (reader.next(paragraph)) {
    throw Error(ErrorKind::Invalid, "{}:{}: a second paragraph", name, paragraph.line());
  }
  return fields;
}

std::string Dependency::text() const {
  return relation == Relation::Any ? name : format("{} ({} {})", name, text_of(relation), version);
}

namespace {

/// Reads one alternative; `rest` is left behind it.
class DependencyParser {
 public:
  explicit DependencyParser(std::string_view text) : all_(text), rest_(text) {}

  Dependencies parse() {
    Dependencies groups;
    skip();
    while (!rest_.empty()) {
      if (rest_.front() == ',') {  // an empty group, as old tools wrote
        rest_.remove_prefix(1);
        skip();
        continue;
      }
      groups.emplace_back();
      groups.back().push_back(one());
      while (accept('|')) {
        groups.back().push_back(one());
      }
      if (!rest_.empty() && !accept(',')) {
        fail();
      }
    }
    return groups;
  }

 private:
  void skip() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\n\r"), rest_.size())); }
  bool accept(char c) {
    if (rest_.empty() || rest_.front() != c) {
      return false;
    }
    rest_.remove_prefix(1);
    skip();
    return true;
  }
  [[noreturn]] void fail() const {
    throw Error(ErrorKind::Invalid, "`{}` is no list of packages, at `{}`", printable(all_.substr(0, 200)),
                printable(rest_.substr(0, 40)));
  }
  std::string word() {
    std::size_t end = 0;
    while (end < rest_.size() && is_name_character(rest_[end])) {
      ++end;
    }
    if (end == 0) {
      fail();
    }
    std::string name(rest_.substr(0, end));
    rest_.remove_prefix(end);
    return name;
  }
  Dependency one() {
    Dependency found;
    skip();
    found.name = word();
    if (accept(':')) {
      found.arch = word();
    }
    skip();
    if (accept('(')) {
      found.relation = relation();
      const std::size_t end = rest_.find(')');
      if (end == std::string_view::npos) {
        fail();
      }
      found.version = trim(rest_.substr(0, end));
      if (found.version.empty() || found.version.find_first_of(" \t\n,|(") != std::string::npos) {
        fail();
      }
      rest_.remove_prefix(end);
      accept(')');
    }
    // Architecture lists and profiles stand only in source packages; a binary package that has them is broken.
    return found;
  }
  Relation relation() {
    const auto eat = [&](std::string_view sign, Relation r, Relation& into) {
      if (!rest_.starts_with(sign)) {
        return false;
      }
      rest_.remove_prefix(sign.size());
      skip();
      into = r;
      return true;
    };
    Relation found = Relation::Any;
    // "<" and ">" alone are the old spellings of "<=" and ">=".
    if (eat("<<", Relation::Earlier, found) || eat("<=", Relation::EarlierEqual, found) ||
        eat(">>", Relation::Later, found) || eat(">=", Relation::LaterEqual, found) ||
        eat("=", Relation::Equal, found) || eat("<", Relation::EarlierEqual, found) ||
        eat(">", Relation::LaterEqual, found)) {
      return found;
    }
    fail();
  }

  std::string_view all_;
  std::string_view rest_;
};

}  // namespace

Dependencies parse_dependencies(std::string_view text) { return DependencyParser(text).parse(); }

}  // namespace slip::deb
