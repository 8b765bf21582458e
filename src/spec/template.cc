#include "spec/template.h"

#include <algorithm>

#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "os/file.h"
#include "spec/value.h"

namespace slip::spec {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kMinimal = R"(# A small environment: Debian 12 with Python 3.11.
# `slipway lock` pins every byte of it, `slipway build` makes the image, `slipway run -- COMMAND` runs something in it.
name: @NAME@
python: "3.11"             # 3.9, 3.11 or 3.13; it decides the Debian suite

requirements:              # as pip writes them, or the path of a requirements.txt or pyproject.toml
  - requests==2.32.3

apt: [jq]                  # Debian packages: NAME or NAME=VERSION

# files: {./scripts: /workspace/scripts}             # copied into the image
# mounts: ["./data:/data", "./out:/workspace/out:rw"]   # mounted when it runs; read-only unless :rw
# env: {GREETING: hello}
)";

constexpr std::string_view kTf29 = R"(# TensorFlow 2.9.0 on Python 3.9, with the tools of a data scientist's day.
# `slipway lock` pins every byte of it, `slipway build` makes the image, `slipway run -- COMMAND` runs something in it.
name: @NAME@
python: "3.9"              # Debian bullseye's; TensorFlow 2.9 was made for it

requirements:              # as pip writes them, or the path of a requirements.txt or pyproject.toml
  - tensorflow==2.9.0
  - pandas==1.5.3
  - matplotlib==3.6.3
  - scikit-learn==1.2.2
  - seaborn==0.12.2
  - jupyter-contrib-nbextensions
  - black
  - flake8
  - pdbpp

apt: [vim, rsync, git]     # Debian packages: NAME or NAME=VERSION

# files:                   # copied into the image; what .slipwayignore names is left out
#   ./notebooks: /workspace/notebooks
#   ./scripts: /workspace/scripts

services:                  # what a workspace runs: on loopback, with a token and keys only
  jupyter: {nbextensions: [codefolding/main, toc2/main, varInspector/main]}
  ssh: {}

# mounts:                  # mounted when it runs; read-only unless :rw
#   - /data/datasets:/datasets
#   - ./projects:/workspace/projects:rw

# resources: {memory: 8GiB, cpus: 4}

variants:                  # the same with differences: `slipway lock --variant slim`
  slim: {services: {}}     # no Jupyter, no SSH
)";

constexpr std::string_view kFound = R"(# Made from what lay in this folder.
# `slipway lock` pins every byte of it, `slipway build` makes the image, `slipway run -- COMMAND` runs something in it.
name: @NAME@
python: "3.11"             # 3.9, 3.11 or 3.13; it decides the Debian suite
)";

std::string filled(std::string_view text, const std::string& name) {
  constexpr std::string_view kMark = "@NAME@";
  std::string out(text);
  out.replace(out.find(kMark), kMark.size(), name);
  return out;
}

/// Package names of an apt.txt: blanks or lines between them, `#` starts a comment.
std::vector<std::string> read_apt(const std::string& text) {
  std::vector<std::string> names;
  int number = 0;
  for (const std::string_view line : split(text, '\n')) {
    ++number;
    for (const std::string_view word : split_words(line.substr(0, line.find('#')))) {
      if (!valid_apt(word)) {
        throw Error(ErrorKind::Invalid, "apt.txt:{}: `{}` is not a Debian package", number, printable(word));
      }
      if (std::find(names.begin(), names.end(), word) == names.end()) {
        names.emplace_back(word);
      }
    }
  }
  return names;
}

Starter from_folder(const fs::path& folder, const std::string& name) {
  Starter starter{filled(kFound, name), ""};
  for (const char* file : {"requirements.txt", "pyproject.toml"}) {
    if (fs::exists(folder / file)) {
      starter.text += format("\nrequirements: {}\n", file);
      starter.from = file;
      break;
    }
  }
  if (const auto apt = os::read_file_if_any(folder / "apt.txt")) {
    starter.text += "\napt:                       # from apt.txt\n";
    for (const std::string& package : read_apt(*apt)) {
      starter.text += "  - " + package + "\n";
    }
    starter.from += starter.from.empty() ? "apt.txt" : " and apt.txt";
  }
  return starter;
}

}  // namespace

std::vector<std::string> template_names() { return {"minimal", "tf29"}; }

std::string name_from(const std::string& folder_name) {
  std::string name;
  for (const char c : to_lower(folder_name)) {
    const bool kept = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
    if (kept) {
      name += c;
    } else if (!name.empty() && name.back() != '-') {
      name += '-';
    }
  }
  name.resize(std::min<std::size_t>(name.size(), 63));
  while (name.ends_with('-')) {
    name.pop_back();
  }
  return name.empty() ? "project" : name;
}

Starter starter(const fs::path& folder, const std::string& template_name, const std::string& name) {
  const std::string chosen = name.empty() ? name_from(fs::path(folder / "").parent_path().filename().string()) : name;
  if (!valid_name(chosen)) {
    throw Error(ErrorKind::Usage, "`{}` cannot be the name of an image", printable(chosen))
        .add_hint("use lower-case letters, digits and single `-`, `_` or `.` between them, at most 63");
  }
  if (template_name.empty()) {
    if (Starter found = from_folder(folder, chosen); !found.from.empty()) {
      return found;
    }
    return {filled(kMinimal, chosen), "the template `minimal`"};
  }
  if (template_name == "tf29" || template_name == "minimal") {
    return {filled(template_name == "tf29" ? kTf29 : kMinimal, chosen), format("the template `{}`", template_name)};
  }
  Error error(ErrorKind::Usage, "there is no template `{}`", printable(template_name));
  const std::vector<std::string> names = template_names();
  const auto near = nearest(template_name, names);
  throw error.add_hint(near ? format("did you mean `{}`?", *near) : format("there are {}", join(names, ", ")));
}

}  // namespace slip::spec
