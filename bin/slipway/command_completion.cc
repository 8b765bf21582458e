#include <deque>

#include "command.h"
#include "core/text.h"
#include "help.h"
#include "options.h"
#include "session.h"

namespace slip::cli {
namespace {

/// What of the table a person is offered.
std::vector<const Entry*> offered() {
  std::vector<const Entry*> all;
  for (const Entry& entry : commands()) {
    if (entry.group != Group::Hidden) {
      all.push_back(&entry);
    }
  }
  return all;
}

/// The options of a command as its own declarations have them, then those of every command.
std::deque<Option> options_of(const Entry& entry) {
  Options own;
  const std::unique_ptr<Command> command = entry.make();
  command->declare(own);
  std::deque<Option> all = own.options();
  Globals globals;
  Options common;
  globals.declare(common);
  for (const Option& o : common.options()) {
    if (o.name != "json" || own.takes_json()) {
      all.push_back(o);
    }
  }
  return all;
}

bool typed_with_dashes(const Option& o) { return o.kind == Option::Kind::Flag || o.kind == Option::Kind::Value; }

std::string bash() {
  std::string names;
  std::string cases;
  for (const Entry* entry : offered()) {
    names += (names.empty() ? "" : " ") + std::string(entry->name);
    std::string words;
    for (const Option& o : options_of(*entry)) {
      words += typed_with_dashes(o) ? "--" + o.name + " " : o.allowed.empty() ? "" : join(o.allowed, " ") + " ";
    }
    cases += format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$word\") $(compgen -f -- \"$word\")) ;;\n",
                    entry->name, trim(words));
  }
  return "_slipway() {\n  local word=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    "
         "COMPREPLY=($(compgen -W \"" +
         names + "\" -- \"$word\"))\n    return\n  fi\n  case ${COMP_WORDS[1]} in\n" + cases +
         "  esac\n}\ncomplete -o filenames -F _slipway slipway\n";
}

/// Text between single quotes, as zsh and fish take it; `special` besides gets a backslash.
std::string quoted(std::string_view text, std::string_view special) {
  std::string out;
  for (const char c : text) {
    if (c == '\'') {
      out += "'\\''";
      continue;
    }
    out += special.find(c) == std::string_view::npos ? "" : "\\";
    out += c;
  }
  return out;
}

/// One argument of zsh's _arguments: '--jobs[steps to run at once]:N:'
std::string zsh_argument(const Option& o) {
  constexpr std::string_view kSpecial = "\\:[]";
  const std::string values = !o.allowed.empty() ? "(" + join(o.allowed, " ") + ")" : o.is_file ? "_files" : "";
  if (!typed_with_dashes(o)) {
    return format("'{}:{}:{}'", o.repeats || o.kind == Option::Kind::Rest ? "*" : "", quoted(o.name, kSpecial),
                  values.empty() ? "_files" : values);
  }
  std::string text = format("'{}--{}[{}]", o.repeats ? "*" : "", o.name, quoted(o.doc, kSpecial));
  if (o.kind == Option::Kind::Value) {
    text += format(":{}:{}", quoted(o.placeholder, kSpecial), values);
  }
  return text + "'";
}

std::string zsh() {
  std::string names;
  std::string cases;
  for (const Entry* entry : offered()) {
    names += format("    '{}:{}'\n", entry->name, quoted(entry->summary, "\\:"));
    cases += format("    {}) _arguments", entry->name);
    for (const Option& o : options_of(*entry)) {
      cases += " \\\n      " + zsh_argument(o);
    }
    cases += " ;;\n";
  }
  return "#compdef slipway\n_slipway() {\n  local -a commands\n  commands=(\n" + names +
         "  )\n  if (( CURRENT == 2 )); then\n    _describe command commands\n    return\n  fi\n"
         "  shift words\n  (( CURRENT-- ))\n  case $words[1] in\n" +
         cases +
         // Found on $fpath, this file is the function's body; sourced, it defines and registers it.
         "  esac\n}\nif [ \"$funcstack[1]\" = _slipway ]; then\n  _slipway \"$@\"\nelse\n  compdef _slipway "
         "slipway\nfi\n";
}

std::string fish() {
  std::string text = "complete -c slipway -n __fish_use_subcommand -f\n";
  for (const Entry* entry : offered()) {
    text += format("complete -c slipway -n __fish_use_subcommand -a {} -d '{}'\n", entry->name,
                   quoted(entry->summary, "\\"));
    for (const Option& o : options_of(*entry)) {
      std::string line = format("complete -c slipway -n '__fish_seen_subcommand_from {}'", entry->name);
      if (typed_with_dashes(o)) {
        line += " -l " + o.name + (o.letter != 0 ? format(" -s {}", o.letter) : "");
        line += o.kind == Option::Kind::Flag ? "" : o.is_file ? " -r" : " -x";
      }
      if (!o.allowed.empty()) {
        line += " -a '" + join(o.allowed, " ") + "'";
      } else if (!typed_with_dashes(o)) {
        continue;
      }
      text += format("{} -d '{}'\n", line, quoted(o.doc, "\\"));
    }
  }
  return text;
}

class Completion final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Prints the script that completes slipway's command line; source it from the shell's start file.");
    o.arg("SHELL", shell_, "which shell").choices({"bash", "zsh", "fish"}).required();
    o.example("source <(slipway completion bash)", "in ~/.bashrc");
    o.example("source <(slipway completion zsh)", "in ~/.zshrc, behind compinit");
    o.example("slipway completion fish > ~/.config/fish/completions/slipway.fish", "for fish");
  }

  int run(Session& s) override {
    s.print(shell_ == "fish" ? fish() : shell_ == "zsh" ? zsh() : bash());
    return 0;
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> make_completion() { return std::make_unique<Completion>(); }

}  // namespace slip::cli
