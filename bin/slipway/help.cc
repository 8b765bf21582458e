#include "help.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "page.h"

namespace slip::cli {
namespace {

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

std::string table_of(const std::vector<PageOption>& options, const Terminal& terminal) {
  // Without a letter, the long name stands below the others'.
  const auto lined_up = [](const PageOption& o) { return (o.spelled.starts_with("--") ? "    " : "") + o.spelled; };
  std::size_t widest = 0;
  for (const PageOption& o : options) {
    widest = std::max(widest, lined_up(o).size());
  }
  std::string text;
  for (const PageOption& o : options) {
    const std::string name = lined_up(o);
    const std::string indent(widest + 4, ' ');
    const std::string body = wrapped(o.meaning, terminal.width(), indent);
    text += "  " + terminal.paint(Style::Literal, name) + std::string(widest + 2 - name.size(), ' ') +
            body.substr(indent.size());
  }
  return text;
}

}  // namespace

std::span<const Heading> headings() { return kHeadings; }

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
  const Page page = page_of(entry);
  std::string text =
      std::string(entry.summary) + "\n\n" + terminal.paint(Style::Title, "Usage:") + " " + page.usage + "\n";
  for (const std::string& paragraph : page.about) {
    text += "\n" + wrapped(paragraph, terminal.width(), "");
  }
  text += "\n" + terminal.paint(Style::Title, "Options:") + "\n" + table_of(page.options, terminal);
  text += "\n" + terminal.paint(Style::Title, "Examples:") + "\n";
  for (const Example& example : page.examples) {
    text += "  " + terminal.paint(Style::Literal, example.command) + "\n      " + example.does + "\n";
  }
  return text;
}

std::string markdown_of(const Entry& entry) {
  const Page page = page_of(entry);
  std::string text =
      format("<!-- Made from the command's declarations; a test compares. -->\n# slipway {}\n\n{}\n\n```\n{}\n```\n",
             entry.name, entry.summary, page.usage);
  for (const std::string& paragraph : page.about) {
    text += "\n" + paragraph + "\n";
  }
  text += "\n| option | meaning |\n|---|---|\n";
  for (const PageOption& o : page.options) {
    text += format("| `{}` | {} |\n", o.spelled, o.meaning);
  }
  text += "\nExamples:\n\n";
  for (const Example& example : page.examples) {
    text += format("- `{}`: {}\n", example.command, example.does);
  }
  return text;
}

std::string markdown_overview() {
  std::string text = "<!-- Made from the table of commands; a test compares. -->\n# Commands\n";
  for (const Heading& heading : kHeadings) {
    text += format("\n## {}\n\n| command | |\n|---|---|\n", heading.title);
    for (const Entry& entry : commands()) {
      if (entry.group == heading.group) {
        text += format("| [`slipway {}`](commands/{}.md) | {} |\n", entry.name, entry.name, entry.summary);
      }
    }
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
