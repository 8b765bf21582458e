#include "page.h"

#include <algorithm>

#include "core/format.h"
#include "core/text.h"

namespace slip::cli {
namespace {

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
  std::string text = o.letter != 0 ? format("-{}, --{}", o.letter, o.name) : "--" + o.name;
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

}  // namespace

Page page_of(const Entry& entry) {
  std::unique_ptr<Command> command;
  const Options own = declared(entry, command);
  Globals globals;
  Options common;
  globals.declare(common);
  Page page{usage(entry, own), paragraphs(own.about()), {}, own.examples()};
  for (const Option* o : all_options(own, common)) {
    page.options.push_back({spelled(*o), described(*o)});
  }
  return page;
}

}  // namespace slip::cli
