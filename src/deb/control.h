#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "deb/version.h"

namespace slip::deb {

/// One paragraph of a control file. Field names compare without regard to case; values keep their line breaks.
class Paragraph {
 public:
  /// Value of the first line's text and all continuation lines ("\n" between, each with its leading blank);
  /// empty when there is no such field.
  [[nodiscard]] std::string_view get(std::string_view name) const noexcept;
  [[nodiscard]] bool has(std::string_view name) const noexcept;
  /// Fields as written, in order.
  [[nodiscard]] const std::vector<std::pair<std::string_view, std::string_view>>& fields() const noexcept {
    return fields_;
  }
  [[nodiscard]] std::size_t line() const noexcept { return line_; }  ///< where it starts, from 1

 private:
  friend class ControlReader;
  std::vector<std::pair<std::string_view, std::string_view>> fields_;
  std::size_t line_ = 0;
};

/// What a control file may cost us.
struct ControlLimits {
  std::size_t max_fields = 200;          ///< in one paragraph
  std::size_t max_paragraph = 8u << 20;  ///< bytes
  std::size_t max_paragraphs = 5'000'000;
};

/// Reads paragraphs one after another from a text that must outlive it; nothing is copied.
/// @source deb822(5)
class ControlReader {
 public:
  /// `name` stands in messages.
  ControlReader(std::string_view text, std::string name, ControlLimits limits = {});
  /// The next paragraph, or false at the end. The views in it point into the text.
  /// @throws Error Invalid with "NAME:LINE: …"
  bool next(Paragraph& into);

 private:
  bool next_line(std::string_view& line);
  [[noreturn]] void fail(std::string what) const;
  std::string_view rest_;
  std::string name_;
  ControlLimits limits_;
  std::size_t line_ = 0;
  std::size_t seen_ = 0;
};

/// The one paragraph of a package's control file as a map; field names are written as Debian writes them
/// ("Multi-Arch"). @throws Error Invalid: none or several paragraphs, or a field twice
std::map<std::string, std::string> parse_control(std::string_view text, const std::string& name);

/// `name (>= 1.0)` with an optional `:any`.
struct Dependency {
  std::string name;
  std::string arch;  ///< "any", "amd64", …; empty: none
  Relation relation = Relation::Any;
  std::string version;
  /// "libc6 (>= 2.31)".
  [[nodiscard]] std::string text() const;
};
/// `a (>= 1) | b, c`: all groups must hold, each by one of its alternatives.
using Dependencies = std::vector<std::vector<Dependency>>;

/// Parses a relationship field of a binary package. @throws Error Invalid quoting the field
/// @source Debian policy 7.1
Dependencies parse_dependencies(std::string_view text);

}  // namespace slip::deb
