#include "secret_input.h"

#include <termios.h>
#include <unistd.h>

#include <iostream>
#include <optional>

namespace slip::cli {
namespace {

/// A terminal that does not show what is typed, as long as the object lives.
class Silence {
 public:
  Silence() {
    if (::tcgetattr(0, &before_) == 0) {
      termios silent = before_;
      silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
      changed_ = ::tcsetattr(0, TCSAFLUSH, &silent) == 0;
    }
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    if (changed_) {
      ::tcsetattr(0, TCSAFLUSH, &before_);
    }
  }

 private:
  termios before_{};
  bool changed_ = false;
};

std::string ask(const char* prompt, bool secret) {
  std::string line;
  const bool terminal = ::isatty(0) != 0;
  if (terminal) {
    std::cerr << prompt << std::flush;
  }
  {
    std::optional<Silence> silence;
    if (terminal && secret) {
      silence.emplace();
    }
    std::getline(std::cin, line);
  }
  if (terminal && secret) {
    std::cerr << "\n";
  }
  return line;
}

}  // namespace

std::string ask_line(const char* prompt) { return ask(prompt, false); }
std::string ask_secret(const char* prompt) { return ask(prompt, true); }

}  // namespace slip::cli
