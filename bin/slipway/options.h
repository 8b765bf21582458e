#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace slip::cli {

/// One declared flag, value or argument. The setters return the option, so that notes are chained:
///
///     o.value("jobs", 'j', "N", jobs_, "steps to run at once").fallback("one per core").env("SLIPWAY_JOBS");
class Option {
 public:
  enum class Kind : std::uint8_t { Flag, Value, Argument, Rest };

  /// The environment variable that is read when the command line does not say; printed in the help.
  Option& env(std::string variable) {
    env_name = std::move(variable);
    return *this;
  }
  /// The default as people should read it: "one per core". Only a note: the default itself is the member's value.
  Option& fallback(std::string text) {
    fallback_note = std::move(text);
    return *this;
  }
  /// The words that are allowed; another one is answered with the nearest.
  Option& choices(std::vector<std::string> words) {
    allowed = std::move(words);
    return *this;
  }
  /// The command line must give it.
  Option& required() {
    is_required = true;
    return *this;
  }
  /// Completes names of files (the default completes nothing).
  Option& file() {
    is_file = true;
    return *this;
  }

  Kind kind = Kind::Flag;
  std::string name;         ///< "offline" (typed --offline), or of an argument its word in the usage line: "FILE"
  char letter = 0;          ///< 'j' (typed -j); 0: none
  std::string placeholder;  ///< what stands behind a value's name in the help: "N", "FILE"
  std::string doc;          ///< one line, lower case, no full stop
  std::string env_name;
  std::string fallback_note;
  std::vector<std::string> allowed;
  bool is_required = false;
  bool is_file = false;
  bool repeats = false;  ///< may be given several times
  /// Takes one value as typed. @throws Error Usage that says what was expected
  std::function<void(const std::string&)> take;
};

/// A command line with what it does, for the end of a help page.
struct Example {
  std::string command;  ///< "slipway lock --update pandas"
  std::string does;     ///< "let one pin move", lower case, no full stop
};

/// What one command takes: our own declarations, from which parser, help, reference pages and completions are made.
class Options {
 public:
  /// What the command does beyond its summary: sentences; an empty line separates paragraphs.
  void about(std::string text) { about_ = std::move(text); }
  /// Two worked examples end every page.
  void example(std::string command, std::string does) { examples_.push_back({std::move(command), std::move(does)}); }

  /// A positional argument, optional unless required().
  Option& arg(std::string name, std::string& into, std::string doc);
  /// Any number of positional arguments; the last one declared.
  Option& args(std::string name, std::vector<std::string>& into, std::string doc);
  /// A command line of somebody else: everything behind `--`, or from the first word that is no option of ours on.
  Option& rest(std::string name, std::vector<std::string>& into, std::string doc);

  Option& flag(std::string name, bool& into, std::string doc) { return flag(std::move(name), 0, into, std::move(doc)); }
  Option& flag(std::string name, char letter, bool& into, std::string doc);
  /// Counts how often it is given (-v, -vv).
  Option& count(std::string name, char letter, int& into, std::string doc);

  Option& value(std::string name, std::string placeholder, std::string& into, std::string doc) {
    return value(std::move(name), 0, std::move(placeholder), into, std::move(doc));
  }
  Option& value(std::string name, char letter, std::string placeholder, std::string& into, std::string doc);
  /// May be given several times.
  Option& value(std::string name, char letter, std::string placeholder, std::vector<std::string>& into,
                std::string doc);
  Option& value(std::string name, std::string placeholder, std::vector<std::string>& into, std::string doc) {
    return value(std::move(name), 0, std::move(placeholder), into, std::move(doc));
  }
  /// A whole number from 0 on.
  Option& value(std::string name, char letter, std::string placeholder, unsigned& into, std::string doc);
  Option& value(std::string name, std::string placeholder, unsigned& into, std::string doc) {
    return value(std::move(name), 0, std::move(placeholder), into, std::move(doc));
  }

  /// Declares `--json`: the answer as one record on stdout, and an error as one too. Read it with Session::json().
  void json() { takes_json_ = true; }

  [[nodiscard]] const std::deque<Option>& options() const noexcept { return options_; }
  [[nodiscard]] const std::string& about() const noexcept { return about_; }
  [[nodiscard]] const std::vector<Example>& examples() const noexcept { return examples_; }
  [[nodiscard]] bool takes_json() const noexcept { return takes_json_; }

 private:
  Option& add(Option option);
  std::deque<Option> options_;  // a deque: the references handed out stay good
  std::string about_;
  std::vector<Example> examples_;
  bool takes_json_ = false;
};

/// Flags that every command takes, before or behind its name.
struct Globals {
  int quiet = 0;    ///< -q: no progress and notes; -qq: nothing but the exit status
  int verbose = 0;  ///< -v: what is being done; -vv: and the details
  std::string color = "auto";
  bool no_progress = false;
  bool json = false;
  bool help = false;
  bool version = false;
  void declare(Options& o);
};

/// Hands `words` (the command line behind the command's name) to the declared options of `command` and to `globals`;
/// then lets the environment speak for what was not given. With --help among them nothing is missed or refused.
/// @param command  its name for messages; empty: slipway itself
/// @throws Error Usage in our voice: what was wrong, and as a hint the nearest option or the command's --help
void parse_words(const std::vector<std::string>& words, std::string_view command, const Options& options,
                 const Options& globals);

}  // namespace slip::cli
