#include "command.h"
#include "help.h"
#include "options.h"
#include "session.h"

namespace slip::cli {
namespace {

/// The words that may follow `slipway COMMAND`.
std::string flags_of(const Entry& entry) {
  Options own;
  const std::unique_ptr<Command> command = entry.make();
  command->declare(own);
  std::string words;
  for (const Option& o : own.options()) {
    if (o.kind == Option::Kind::Flag || o.kind == Option::Kind::Value) {
      words += "--" + o.name + " ";
    }
  }
  return words + (own.takes_json() ? "--json " : "") + "--help --quiet --verbose";
}

std::string names() {
  std::string words;
  for (const Entry& entry : commands()) {
    words += (words.empty() ? "" : " ") + std::string(entry.name);
  }
  return words;
}

std::string bash() {
  std::string text =
      "_slipway() {\n  local word=${COMP_WORDS[COMP_CWORD]}\n  if [ \"$COMP_CWORD\" -eq 1 ]; then\n    "
      "COMPREPLY=($(compgen -W \"" +
      names() + "\" -- \"$word\"))\n    return\n  fi\n  case ${COMP_WORDS[1]} in\n";
  for (const Entry& entry : commands()) {
    text += format("    {}) COMPREPLY=($(compgen -W \"{}\" -- \"$word\") $(compgen -f -- \"$word\")) ;;\n", entry.name,
                   flags_of(entry));
  }
  return text + "  esac\n}\ncomplete -o filenames -F _slipway slipway\n";
}

std::string fish() {
  std::string text;
  for (const Entry& entry : commands()) {
    text += format("complete -c slipway -n __fish_use_subcommand -a {} -d '{}'\n", entry.name, entry.summary);
  }
  return text;
}

class Completion final : public Command {
 public:
  void declare(Options& o) override {
    o.about("Prints the script that completes slipway's command line; source it from the shell's start file.");
    o.arg("SHELL", shell_, "which shell").choices({"bash", "zsh", "fish"}).required();
    o.example("source <(slipway completion bash)", "in ~/.bashrc");
    o.example("slipway completion fish > ~/.config/fish/completions/slipway.fish", "for fish");
  }

  int run(Session& s) override {
    s.print(shell_ == "fish" ? fish() : (shell_ == "zsh" ? "autoload -U bashcompinit && bashcompinit\n" : "") + bash());
    return 0;
  }

 private:
  std::string shell_;
};

}  // namespace

std::unique_ptr<Command> make_completion() { return std::make_unique<Completion>(); }

}  // namespace slip::cli
