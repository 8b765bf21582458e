#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace slip::cli {

/// What the few colours mean. Only labels are coloured, and meaning never depends on it.
enum class Style : std::uint8_t { Done, Failed, Warning, Literal, Dim, Title };

/// A stream for people: whether it is a terminal, how wide, with colours or without.
class Terminal {
 public:
  /// @param fd     1 or 2
  /// @param color  "auto", "always", "never". auto: colours on a terminal that is not dumb, unless NO_COLOR is set;
  ///               CLICOLOR_FORCE asks for them everywhere, NO_COLOR is the stronger of the two
  Terminal(int fd, std::string_view color);
  /// A made-up one, for tests.
  Terminal(bool live, unsigned width, bool color) : fd_(-1), live_(live), color_(color), width_(width) {}

  /// A terminal that understands cursor movement.
  [[nodiscard]] bool live() const noexcept { return live_; }
  [[nodiscard]] bool color() const noexcept { return color_; }
  /// Columns, asked anew each time; what is no terminal has COLUMNS of the environment, or 100.
  [[nodiscard]] unsigned width() const noexcept;
  /// Rows; 24 where nobody knows.
  [[nodiscard]] unsigned height() const noexcept;
  [[nodiscard]] std::string paint(Style style, std::string_view text) const;
  /// Writes all of it; a stream nobody reads any more is not an error here.
  void write(std::string_view text) const noexcept;

 private:
  int fd_;
  bool live_;
  bool color_;
  unsigned width_ = 0;  // of a made-up one
};

/// Cells that a text takes on a terminal: one per character, none for colour codes.
std::size_t cells(std::string_view text) noexcept;
/// The text in lines of at most `width` cells, broken at blanks; all but the first begin with `hang` blanks. Words that
/// are longer stay whole. `width` 0: one line.
std::string wrap(std::string_view text, std::size_t width, std::size_t hang);

}  // namespace slip::cli
