#pragma once

#include <string>
#include <string_view>

namespace slip::cli {

/// A manual page in the making, in the man(7) macros. Texts are foreign to roff: what it would take for its own is
/// escaped. `backquoted` words come out bold.
class Roff {
 public:
  /// @param section  "1", "5"
  Roff(std::string_view title, std::string_view section);
  void heading(std::string_view title);
  void subheading(std::string_view title);
  void paragraph(std::string_view text);
  /// An item with what it means, indented below it. @param text  may be empty
  void item(std::string_view bold, std::string_view text);
  /// Lines as they are, not filled.
  void verbatim(std::string_view lines);
  /// The line of NAME, from which apropos(1) lives.
  void name(std::string_view what, std::string_view summary);
  /// References to other pages: "slipway-lock(1)", in the order given.
  void see_also(const std::string& pages);
  [[nodiscard]] const std::string& text() const noexcept { return text_; }

 private:
  std::string text_;
};

}  // namespace slip::cli
