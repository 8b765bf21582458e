#include "help.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"

namespace slip::cli {
namespace {

struct Heading {
  Group group;
  const char* title;
};
constexpr std::array kHeadings = {Heading{Group::Build, "Build"}, Heading{Group::Run, "Run"},
                                  Heading{Group::Share, "Share"}, Heading{Group::Deliver, "Deliver"},
                                  Heading{Group::Inspect, "Inspect"}};

/// Words of a paragraph, broken at `width`, each line behind `indent`.
std::string wrapped(std::string_view text, std::size_t width, const std::string& indent) {
  std::string out;
  std::string line = indent;
  for (const std::string_view word : split_words(text)) {
    if (line.size() > indent.size() && line.size() + 1 + word.size() > width) {
      out += line + "\n";
      line = indent;
    }
    line += (line.size() > indent.size() ? " " : "") + std::string(word);
  }
  return out + line + "\n";
}

std::vector<std::string> paragraphs(const std::string& text) {
  std::vector<std::string> all;
  std::size_t start = 0;
  for (std::size_t end = text.find("\n\n"); end != std::string::npos; end = text.find("\n\n", start)) {
    all.push_back(text.substr(start, end - start));
    start = end + 2;
  }
  all.push_back(text.substr(start));
  return all;
}

bool positional(const Option& o) { return o.kind == Option::Kind::Argument || o.kind == Option::Kind::Rest; }

std::string usage(const Entry& entry, const Options& options) {
  std::string text = "slipway " + std::string(entry.name);
  const bool flags =
      std::any_of(options.options().begin(), options.options().end(), [](const Option& o) { return !positional(o); });
  text += flags || options.takes_json() ? " [OPTIONS]" : "";
  for (const Option& o : options.options()) {
    if (o.kind == Option::Kind::Rest) {
      text += o.is_required ? " -- " + o.name + "..." : " [-- " + o.name + "...]";
    } else if (o.kind == Option::Kind::Argument) {
      const std::string word = o.name + (o.repeats ? "..." : "");
      text += o.is_required ? " " + word : " [" + word + "]";
    }
  }
  return text;
}

std::string spelled(const Option& o) {
  if (positional(o)) {
    return o.name;
  }
  std::string text = o.letter != 0 ? format("-{}, --{}", o.letter, o.name) : format("    --{}", o.name);
  if (o.kind == Option::Kind::Value) {
    text += " " + o.placeholder;
  }
  return text;
}

std::string described(const Option& o) {
  std::string text = o.doc;
  if (!o.allowed.empty()) {
    text += format(" ({})", join(o.allowed, ", "));
  }
  if (!o.fallback_note.empty()) {
    text += format(" [default: {}]", o.fallback_note);
  }
  if (!o.env_name.empty()) {
    text += format(" [env: {}]", o.env_name);
  }
  return text;
}

Options declared(const Entry& entry, std::unique_ptr<Command>& command) {
  Options options;
  command = entry.make();
  command->declare(options);
  return options;
}

/// Own options, then those that every command takes.
std::vector<const Option*> all_options(const Options& own, const Options& globals) {
  std::vector<const Option*> all;
  for (const Option& o : own.options()) {
    all.push_back(&o);
  }
  for (const Option& o : globals.options()) {
    if (o.name != "json" || own.takes_json()) {
      all.push_back(&o);
    }
  }
  return all;
}

std::string table_of(const std::vector<const Option*>& options, const Terminal& terminal) {
  std::size_t widest = 0;
  for (const Option* o : options) {
    widest = std::max(widest, spelled(*o).size());
  }
  std::string text;
  for (const Option* o : options) {
    const std::string name = spelled(*o);
    const std::string indent(widest + 4, ' ');
    std::string body = wrapped(described(*o), terminal.width(), indent);
    text += "  " + terminal.paint(Style::Literal, name) + std::string(widest + 2 - name.size(), ' ') +
            body.substr(indent.size());
  }
  return text;
}

}  // namespace

std::string overview(const Terminal& terminal) {
  std::string text = "One short file in, the same image out, every time.\n\n" + terminal.paint(Style::Title, "Usage:") +
                     " slipway COMMAND [OPTIONS]\n";
  for (const Heading& heading : kHeadings) {
    std::string rows;
    for (const Entry& entry : commands()) {
      if (entry.group == heading.group) {
        rows += "  " + terminal.paint(Style::Literal, entry.name) + std::string(14 - entry.name.size(), ' ') +
                std::string(entry.summary) + "\n";
      }
    }
    if (!rows.empty()) {
      text += "\n" + terminal.paint(Style::Title, std::string(heading.title) + ":") + "\n" + rows;
    }
  }
  return text + "\n`slipway COMMAND --help` says more about one of them.\n";
}

std::string help_of(const Entry& entry, const Terminal& terminal) {
  std::unique_ptr<Command> command;
  const Options own = declared(entry, command);
  Globals globals;
  Options common;
  globals.declare(common);
  std::string text =
      std::string(entry.summary) + "\n\n" + terminal.paint(Style::Title, "Usage:") + " " + usage(entry, own) + "\n";
  for (const std::string& paragraph : paragraphs(own.about())) {
    text += "\n" + wrapped(paragraph, terminal.width(), "");
  }
  text += "\n" + terminal.paint(Style::Title, "Options:") + "\n" + table_of(all_options(own, common), terminal);
  text += "\n" + terminal.paint(Style::Title, "Examples:") + "\n";
  for (const Example& example : own.examples()) {
    text += "  " + terminal.paint(Style::Literal, example.command) + "\n      " + example.does + "\n";
  }
  return text;
}

std::string markdown_of(const Entry& entry) {
  std::unique_ptr<Command> command;
  const Options own = declared(entry, command);
  Globals globals;
  Options common;
  globals.declare(common);
  std::string text =
      format("<!-- Made from the command's declarations; a test compares. -->\n# slipway {}\n\n{}\n\n```\n{}\n```\n",
             entry.name, entry.summary, usage(entry, own));
  for (const std::string& paragraph : paragraphs(own.about())) {
    text += "\n" + paragraph + "\n";
  }
  text += "\n| option | meaning |\n|---|---|\n";
  for (const Option* o : all_options(own, common)) {
    std::string name = spelled(*o);
    name.erase(0, name.find_first_not_of(' '));
    text += format("| `{}` | {} |\n", name, described(*o));
  }
  text += "\nExamples:\n\n";
  for (const Example& example : own.examples()) {
    text += format("- `{}`: {}\n", example.command, example.does);
  }
  return text;
}

const Entry& find_command(std::string_view name) {
  std::vector<std::string> known;
  for (const Entry& entry : commands()) {
    if (entry.name == name) {
      return entry;
    }
    known.emplace_back(entry.name);
  }
  Error error(ErrorKind::Usage, "there is no command `{}`", printable(name));
  if (const auto near = nearest(name, known)) {
    error.add_hint(format("a similar command exists: `{}`", *near));
  } else {
    error.add_hint("`slipway --help` lists the commands");
  }
  throw error;
}

}  // namespace slip::cli
