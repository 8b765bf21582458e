#include "terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>

#include "core/text.h"

namespace slip::cli {
namespace {

constexpr unsigned kWidth = 100;
constexpr unsigned kNarrowest = 20;

bool is_set(const char* variable) {
  const char* value = std::getenv(variable);
  return value != nullptr && *value != '\0';
}

bool wants_color(bool live, std::string_view mode) {
  if (mode != "auto") {
    return mode == "always";
  }
  if (is_set("NO_COLOR")) {
    return false;
  }
  const char* force = std::getenv("CLICOLOR_FORCE");
  return live || (force != nullptr && *force != '\0' && std::string_view(force) != "0");
}

const char* code_of(Style style) {
  switch (style) {
    case Style::Done: return "\x1b[32m";
    case Style::Failed: return "\x1b[31m";
    case Style::Warning: return "\x1b[33m";
    case Style::Literal: return "\x1b[36m";
    case Style::Dim: return "\x1b[2m";
    case Style::Title: return "\x1b[1m";
  }
  return "";
}

}  // namespace

Terminal::Terminal(int fd, std::string_view color) : fd_(fd), live_(false), color_(false) {
  const char* term = std::getenv("TERM");
  live_ = ::isatty(fd) == 1 && term != nullptr && std::string_view(term) != "dumb" && *term != '\0';
  color_ = wants_color(live_, color);
}

unsigned Terminal::width() const noexcept {
  if (fd_ < 0) {
    return width_;
  }
  winsize size{};
  if (::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_col >= kNarrowest) {
    return size.ws_col;
  }
  if (const char* columns = std::getenv("COLUMNS")) {
    const std::string_view text(columns);
    unsigned value = 0;
    if (std::from_chars(text.data(), text.data() + text.size(), value).ec == std::errc{} && value >= kNarrowest) {
      return value;
    }
  }
  return kWidth;
}

unsigned Terminal::height() const noexcept {
  winsize size{};
  return fd_ >= 0 && ::ioctl(fd_, TIOCGWINSZ, &size) == 0 && size.ws_row > 0 ? size.ws_row : 24;
}

std::string Terminal::paint(Style style, std::string_view text) const {
  return color_ ? code_of(style) + std::string(text) + "\x1b[0m" : std::string(text);
}

void Terminal::write(std::string_view text) const noexcept {
  while (!text.empty() && fd_ >= 0) {
    const ssize_t n = ::write(fd_, text.data(), text.size());
    if (n < 0 && errno != EINTR) {
      return;
    }
    text.remove_prefix(n > 0 ? static_cast<std::size_t>(n) : 0);
  }
}

std::size_t cells(std::string_view text) noexcept {
  std::size_t count = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\x1b') {
      while (i < text.size() && text[i] != 'm') {
        ++i;
      }
    } else if ((static_cast<unsigned char>(text[i]) & 0xC0U) != 0x80U) {
      ++count;
    }
  }
  return count;
}

std::string wrap(std::string_view text, std::size_t width, std::size_t hang) {
  std::string out;
  std::size_t used = 0;
  for (const std::string_view word : split(text, ' ')) {
    const std::size_t size = cells(word);
    if (out.empty()) {
      out = word;
      used = size;
    } else if (width != 0 && used + 1 + size > width && used > hang) {
      out += "\n" + std::string(hang, ' ');
      out += word;
      used = hang + size;
    } else {
      out += ' ';
      out += word;
      used += 1 + size;
    }
  }
  return out;
}

}  // namespace slip::cli
