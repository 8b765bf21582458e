#include "manual.h"

#include <array>

#include "command.h"
#include "core/text.h"
#include "help.h"
#include "page.h"
#include "roff.h"
#include "serving/base/options.h"
#include "spec/keys.h"

namespace slip::cli {
namespace {

constexpr std::string_view kExitStatus =
    "0: done. 1: the input is wrong, or a check failed. 2: the command line is wrong, or something unexpected "
    "happened. `slipway run`, `slipway exec` and `slipway ssh` end with the status of the command that they ran.";

std::string command_page(const Entry& entry) {
  const Page page = page_of(entry);
  const std::string name = "slipway-" + std::string(entry.name);
  Roff roff(name, "1");
  roff.name(name, entry.summary);
  roff.heading("SYNOPSIS");
  roff.paragraph("`" + page.usage + "`");
  roff.heading("DESCRIPTION");
  for (const std::string& paragraph : page.about) {
    roff.paragraph(paragraph);
  }
  roff.heading("OPTIONS");
  for (const PageOption& option : page.options) {
    roff.item(option.spelled, option.meaning);
  }
  roff.heading("EXIT STATUS");
  roff.paragraph(kExitStatus);
  roff.heading("EXAMPLES");
  for (const Example& example : page.examples) {
    roff.item(example.command, example.does);
  }
  roff.see_also(entry.name == "serve" ? "slipway(1) slipway-serve(8)" : "slipway(1) slipway.yaml(5)");
  return roff.text();
}

std::string overview_page() {
  Roff roff("slipway", "1");
  roff.name("slipway", "locked, bit-identical environments as OCI images, without a daemon");
  roff.heading("SYNOPSIS");
  roff.paragraph("`slipway COMMAND [OPTIONS]`");
  roff.heading("DESCRIPTION");
  roff.paragraph(
      "`slipway lock` resolves slipway.yaml into slipway.lock, `slipway build` makes the image that the lock "
      "describes, "
      "`slipway run` and `slipway up` start it, `slipway push` and `slipway pull` share it, `slipway ship` makes a "
      "slim "
      "image that serves a model. Each command has a page of its own, slipway-COMMAND(1).");
  for (const Heading& heading : headings()) {
    roff.subheading(heading.title);
    for (const Entry& entry : commands()) {
      if (entry.group == heading.group) {
        roff.item(entry.name, entry.summary);
      }
    }
  }
  roff.heading("EXIT STATUS");
  roff.paragraph(kExitStatus);
  roff.heading("FILES");
  roff.item("slipway.yaml, slipway.lock", "the spec and its lock; both belong into version control");
  roff.item("$XDG_CONFIG_HOME/slipway/config.toml, /etc/slipway/config.toml", "settings; `slipway config` lists them");
  roff.item("$XDG_DATA_HOME/slipway", "the store of images and packages; of root: /var/lib/slipway");
  roff.item("$XDG_STATE_HOME/slipway", "workspaces: tokens, host keys, logs; of root: /var/lib/slipway/state");
  roff.see_also("slipway-init(8) slipway-serve(8) slipway.yaml(5)");
  return roff.text();
}

void spec_keys(Roff& roff, std::span<const spec::Key> keys, const std::string& prefix) {
  for (const spec::Key& key : keys) {
    const std::string name = prefix + std::string(key.name);
    roff.subheading(name);
    roff.paragraph(key.doc);
    std::string takes = format("Takes {}.", spec::words_for(key.shape));
    if (key.required) {
      takes += " Required.";
    } else if (!key.fallback.empty()) {
      takes += format(" Default: {}.", key.fallback);
    }
    roff.paragraph(takes);
    roff.verbatim(key.example);
    spec_keys(roff, key.nested, name + ".");
  }
}

std::string spec_page() {
  Roff roff("slipway.yaml", "5");
  roff.name("slipway.yaml", "what is in an environment and how it runs");
  roff.heading("DESCRIPTION");
  roff.paragraph(
      "The file that slipway-lock(1) resolves. All keys but `name` may be left out; unknown keys and wrong types are "
      "errors that show the line. Anchors, aliases and tags of YAML are not read.");
  roff.heading("KEYS");
  spec_keys(roff, spec::top_keys(), "");
  roff.see_also("slipway(1) slipway-lock(1) slipway-build(1)");
  return roff.text();
}

std::string serve_page() {
  Roff roff("slipway-serve", "8");
  roff.name("slipway-serve", "serve TensorFlow SavedModels over REST and gRPC");
  roff.heading("SYNOPSIS");
  roff.paragraph("`slipway-serve --model_base_path=PATH --rest_api_port=8501 [--FLAG=VALUE]...`");
  roff.heading("DESCRIPTION");
  roff.paragraph(
      "Serves SavedModels with TensorFlow's own libraries, without a Python: the interfaces of TensorFlow Serving and "
      "the "
      "Open Inference Protocol v2. Values behind a flag follow `=` or a blank; defaults stand in brackets.");
  roff.heading("OPTIONS");
  for (const serving::FlagHelp& flag : serving::flag_help()) {
    if (!flag.heading.empty()) {
      roff.subheading(flag.heading);
    }
    roff.item(flag.spelled, flag.meaning);
  }
  roff.subheading("Taken from tensorflow_model_server without effect here");
  std::string without_effect;
  for (const std::string_view name : serving::flags_without_effect()) {
    without_effect += format("{}`--{}`", without_effect.empty() ? "" : ", ", name);
  }
  roff.paragraph(without_effect);
  roff.heading("EXIT STATUS");
  roff.paragraph(
      "0: stopped by SIGTERM or SIGINT after what was running. 1: no model loads, or another failure. 2: a wrong "
      "flag.");
  roff.see_also("slipway(1) slipway-serve(1)");
  return roff.text();
}

}  // namespace

std::map<std::string, std::string> manual_pages() {
  std::map<std::string, std::string> pages = {
      {"slipway.1", overview_page()}, {"slipway.yaml.5", spec_page()}, {"slipway-serve.8", serve_page()}};
  for (const Entry& entry : commands()) {
    if (entry.group != Group::Hidden) {
      pages["slipway-" + std::string(entry.name) + ".1"] = command_page(entry);
    }
  }
  return pages;
}

}  // namespace slip::cli
