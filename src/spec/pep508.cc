#include "spec/pep508.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <span>
#include <vector>

#include "core/format.h"
#include "core/suggest.h"
#include "core/text.h"

namespace slip::spec {
namespace {

bool alnum(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'); }
bool name_char(char c) { return alnum(c) || c == '-' || c == '_' || c == '.'; }
bool version_char(char c) { return alnum(c) || std::string_view("._*+!-").find(c) != std::string_view::npos; }

constexpr std::array<std::string_view, 8> kOperators = {"===", "==", "~=", "!=", "<=", ">=", "<", ">"};

/// A recursive descent over the grammar of PEP 508; the first fault ends it by exception inside this file.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  void requirement() {
    blanks();
    name("a package name");
    blanks();
    if (peek() == '[') {
      extras();
      blanks();
    }
    if (peek() == '@') {
      fault(text_.size() - at_, "a requirement by URL cannot be locked by version",
            "name the version instead: `NAME==VERSION`");
    }
    if (peek() == '(') {
      ++at_;
      versions(')');
      expect(')');
    } else if (!done() && peek() != ';') {
      versions(';');
    }
    blanks();
    if (peek() == ';') {
      ++at_;
      blanks();
      marker(0);
    }
    blanks();
    if (!done()) {
      fault(text_.size() - at_, format("unexpected `{}`", printable(text_.substr(at_))), "");
    }
  }

 private:
  [[nodiscard]] bool done() const { return at_ >= text_.size(); }
  [[nodiscard]] char peek() const { return done() ? '\0' : text_[at_]; }
  void blanks() {
    while (peek() == ' ' || peek() == '\t') {
      ++at_;
    }
  }
  [[noreturn]] void fault(std::size_t length, std::string message, std::string hint) const {
    throw RequirementFault{std::min(at_, text_.empty() ? 0 : text_.size()), std::max<std::size_t>(length, 1),
                           std::move(message), std::move(hint)};
  }
  [[nodiscard]] std::string found() const {
    return done() ? "the end" : format("`{}`", printable(text_.substr(at_, 1)));
  }
  void expect(char c) {
    if (peek() != c) {
      fault(1, format("expected `{}`, found {}", c, found()), "");
    }
    ++at_;
  }
  std::string_view word(bool (*belongs)(char)) {
    const std::size_t from = at_;
    while (!done() && belongs(text_[at_])) {
      ++at_;
    }
    return text_.substr(from, at_ - from);
  }
  void name(std::string_view what) {
    const std::size_t from = at_;
    const std::string_view found_name = word(name_char);
    if (found_name.empty() || !alnum(found_name.front()) || !alnum(found_name.back())) {
      at_ = from;
      fault(std::max<std::size_t>(found_name.size(), 1),
            format("expected {}, found {}", what, found_name.empty() ? found() : format("`{}`", found_name)),
            "a name is letters, digits and, between them, `-`, `_` or `.`");
    }
  }
  void extras() {
    expect('[');
    blanks();
    while (peek() != ']') {
      name("the name of an extra");
      blanks();
      if (peek() == ',') {
        ++at_;
        blanks();
      } else if (peek() != ']') {
        fault(1, format("expected `,` or `]` in the list of extras, found {}", found()), "");
      }
    }
    expect(']');
  }
  void versions(char until) {
    while (true) {
      blanks();
      const std::string_view rest = text_.substr(at_);
      const auto op =
          std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view o) { return rest.starts_with(o); });
      if (op == kOperators.end()) {
        wrong_operator();
      }
      at_ += op->size();
      blanks();
      const std::size_t from = at_;
      const std::string_view version = word(version_char);
      if (version.empty()) {
        fault(1, format("expected a version behind `{}`, found {}", *op, found()), "");
      }
      if (version.find('*') != std::string_view::npos && (!version.ends_with(".*") || (*op != "==" && *op != "!="))) {
        at_ = from;
        fault(version.size(), "`*` is only read at the end of a version, behind `==` or `!=`", "");
      }
      blanks();
      if (peek() == ',') {
        ++at_;
        blanks();
        if (done() || peek() == until) {
          return;  // a comma at the end is allowed
        }
        continue;
      }
      return;
    }
  }
  [[noreturn]] void wrong_operator() const {
    if (peek() == '=') {
      fault(1, "expected `==`, found `=`",
            format("did you mean `{}=={}`?", trim(text_.substr(0, at_)), trim(text_.substr(at_ + 1))));
    }
    if (alnum(peek())) {
      const std::string_view rest = text_.substr(at_);
      const std::string_view value = rest.substr(0, rest.find_first_of(" \t;"));
      fault(value.size(), format("expected a comparison such as `==`, found `{}`", printable(value)),
            value.front() >= '0' && value.front() <= '9'
                ? format("did you mean `{}=={}`?", trim(text_.substr(0, at_)), printable(value))
                : std::string("write one requirement a line"));
    }
    fault(1, format("expected a comparison such as `==` or `>=`, found {}", found()), "");
  }

  void marker(int depth) {
    if (depth > 16) {
      fault(1, "the marker is nested too deep", "");
    }
    marker_term(depth);
    while (true) {
      blanks();
      const std::size_t from = at_;
      const std::string_view joint = word(name_char);
      if (joint != "and" && joint != "or") {
        at_ = from;
        return;
      }
      marker_term(depth);
    }
  }
  void marker_term(int depth) {
    blanks();
    if (peek() == '(') {
      ++at_;
      marker(depth + 1);
      blanks();
      expect(')');
      return;
    }
    marker_value();
    blanks();
    marker_operator();
    blanks();
    marker_value();
  }
  void marker_operator() {
    const std::string_view rest = text_.substr(at_);
    const auto op =
        std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view o) { return rest.starts_with(o); });
    if (op != kOperators.end()) {
      at_ += op->size();
      return;
    }
    const std::size_t from = at_;
    std::string_view found_word = word(name_char);
    if (found_word == "not") {
      blanks();
      found_word = word(name_char);
    }
    if (found_word != "in") {
      at_ = from;
      fault(1, format("expected a comparison in the marker, found {}", found()), "");
    }
  }
  void marker_value() {
    const char quote = peek();
    if (quote == '\'' || quote == '"') {
      const std::size_t end = text_.find(quote, at_ + 1);
      if (end == std::string_view::npos) {
        fault(text_.size() - at_, "a quote that is not closed", "");
      }
      at_ = end + 1;
      return;
    }
    static const std::vector<std::string> kVariables = {
        "python_version",      "python_full_version",    "os_name",
        "sys_platform",        "platform_release",       "platform_system",
        "platform_version",    "platform_machine",       "platform_python_implementation",
        "implementation_name", "implementation_version", "extra"};
    const std::size_t from = at_;
    const std::string variable(word(name_char));
    if (std::find(kVariables.begin(), kVariables.end(), variable) != kVariables.end()) {
      return;
    }
    at_ = from;
    const auto near = nearest(variable, kVariables);
    fault(std::max<std::size_t>(variable.size(), 1),
          variable.empty() ? format("expected a marker variable or a quoted text, found {}", found())
                           : format("unknown marker variable `{}`", variable),
          near ? format("did you mean `{}`?", *near) : std::string());
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

bool looks_like_path(std::string_view text) {
  return text.starts_with("./") || text.starts_with("../") || text.starts_with('/') || text.starts_with("file:") ||
         text.ends_with(".whl") || text.ends_with(".tar.gz");
}

/// "3.11.2" → {3, 11, 2}; stops at the first part that is no number.
std::vector<int> release(std::string_view version) {
  std::vector<int> parts;
  for (const std::string_view part : split(version, '.')) {
    int value = 0;
    const auto [end, error] = std::from_chars(part.data(), part.data() + part.size(), value);
    if (error != std::errc{} || end == part.data()) {
      break;
    }
    parts.push_back(value);
  }
  return parts;
}

/// -1, 0, 1 on the first `count` parts, missing ones being 0.
int compare(const std::vector<int>& a, const std::vector<int>& b, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const int x = i < a.size() ? a[i] : 0;
    const int y = i < b.size() ? b[i] : 0;
    if (x != y) {
      return x < y ? -1 : 1;
    }
  }
  return 0;
}

}  // namespace

std::optional<RequirementFault> requirement_fault(std::string_view text) {
  const std::size_t at = text.find('@');  // "NAME @ URL", or "git+https://HOST/PATH@REVISION"
  if (const std::size_t url = text.find("://"); url != std::string_view::npos && url < at) {
    return RequirementFault{0, text.size(), "a requirement by URL cannot be locked by version",
                            "name the version instead: `NAME==VERSION`"};
  }
  if (at == std::string_view::npos && looks_like_path(text)) {
    return RequirementFault{0, text.size(), "a requirement by path cannot be locked by version",
                            "publish it to an index, or map its folder with `files`"};
  }
  try {
    Reader(text).requirement();
  } catch (const RequirementFault& fault) {
    return fault;
  }
  return std::nullopt;
}

std::string_view requirement_name(std::string_view text) {
  const std::string_view trimmed = trim(text);
  const auto end = std::find_if_not(trimmed.begin(), trimmed.end(), name_char);
  return trimmed.substr(0, static_cast<std::size_t>(end - trimmed.begin()));
}

bool version_satisfies(std::string_view version, std::string_view specifiers) {
  const std::vector<int> have = release(version);
  for (std::string_view one : split(specifiers, ',')) {
    one = trim(one);
    const auto op =
        std::find_if(kOperators.begin(), kOperators.end(), [&](std::string_view o) { return one.starts_with(o); });
    if (op == kOperators.end()) {
      continue;
    }
    const std::string_view text = trim(one.substr(op->size()));
    const std::vector<int> want = release(text);
    if (want.empty()) {
      continue;
    }
    const std::size_t all = std::max(have.size(), want.size());
    // The interpreter's patch level is not known here: ">=3.9.1" is judged on what is.
    const std::size_t known = std::min(have.size(), want.size());
    const int order = compare(
        have, want,
        *op == "<" || *op == ">=" || *op == "<=" || *op == ">" ? (want.size() > have.size() ? known : all) : known);
    const bool ends_open = want.size() > have.size();
    bool ok = true;
    if (*op == ">=") {
      ok = order >= 0;
    } else if (*op == "<=") {
      ok = order <= 0;
    } else if (*op == ">") {
      ok = ends_open ? order >= 0 : order > 0;
    } else if (*op == "<") {
      ok = ends_open ? order <= 0 : order < 0;
    } else if (*op == "==" || *op == "===") {
      ok = order == 0;
    } else if (*op == "!=") {
      ok = ends_open || order != 0;
    } else {  // ~=: at least, and the same up to the last but one part
      ok = order >= 0 && compare(have, want, want.size() - 1) == 0;
    }
    if (!ok) {
      return false;
    }
  }
  return true;
}

}  // namespace slip::spec
