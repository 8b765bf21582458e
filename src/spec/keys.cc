#include "spec/keys.h"

#include <algorithm>
#include <array>
#include <vector>

#include "core/suggest.h"
#include "spec/value.h"

namespace slip::spec {
namespace {

constexpr std::array kJupyter = {
    Key{"nbextensions", Shape::TextList, "Notebook extensions to install and enable, as FOLDER/NAME.", "none",
        "nbextensions: [codefolding/main]", "^[A-Za-z0-9_.-]+(/[A-Za-z0-9_.-]+)+$"},
    Key{"lab", Shape::Flag, "Brings JupyterLab beside the classic notebook.", "false", "lab: true"},
};
constexpr std::array kSsh = {
    Key{"keys", Shape::TextList,
        "Public keys that may log in, one each as in authorized_keys. They are given to the workspace when it "
        "starts and are never part of an image.",
        "the caller's own keys", "keys: [\"ssh-ed25519 AAAA… me\"]"},
};
constexpr std::array kServices = {
    Key{"jupyter",
        Shape::OnTable,
        "A Jupyter notebook server, guarded by a random token.",
        "off",
        "jupyter: {}",
        {},
        kJupyter},
    Key{"ssh", Shape::OnTable, "An OpenSSH server that takes keys only.", "off", "ssh: {}", {}, kSsh},
};
constexpr std::array kResources = {
    Key{"memory", Shape::Size, "Most memory that everything inside may use together.", "no limit", "memory: 8GiB"},
    Key{"cpus", Shape::Number, "Processor time, in cores.", "no limit", "cpus: 1.5"},
    Key{"pids", Shape::Count, "Most processes and threads.", "4096 in a workspace", "pids: 2000"},
    Key{"shm", Shape::Size, "Size of /dev/shm.", "half of the memory", "shm: 2GiB"},
};
constexpr std::array kStep = {
    Key{"command", Shape::Text, "What /bin/sh -eu runs.", "", "command: make install", {}, {}, true},
    Key{"network", Shape::Flag,
        "Lets the command reach the network. What it fetches is then no longer pinned by the lock.", "false",
        "network: true"},
};
constexpr std::array kGpu = {
    Key{"cuda",
        Shape::Text,
        "Version of CUDA; of a short one, Debian's. bullseye: 11.2 from Debian, 11.7 and 11.8 as NVIDIA's wheels; "
        "bookworm: 11.8 from Debian, 11.7 as wheels; trixie: 11.7 and 11.8 as wheels.",
        "",
        "cuda: \"11.2\"",
        "^[0-9]+(\\.[0-9]+)*$",
        {},
        true},
    Key{"cudnn",
        Shape::Text,
        "Version of cuDNN, as NVIDIA's wheel. With CUDA 11.2, 8 is 8.5, the nearest to the 8.1 that "
        "TensorFlow 2.9 was built for.",
        "",
        "cudnn: \"8\"",
        "^[0-9]+(\\.[0-9]+)*$",
        {},
        true},
};

constexpr std::array kTop = {
    Key{"name",
        Shape::Text,
        "What the environment is called: the image's name and the host name inside. Lower-case letters, digits and, "
        "between them, single `-`, `_` or `.`.",
        "",
        "name: tf29-dev",
        "^[a-z0-9]+([._-][a-z0-9]+)*$",
        {},
        true},
    Key{"python", Shape::Text,
        "Version of Python. It decides the Debian suite whose interpreter that is: 3.9 is bullseye's, 3.11 "
        "bookworm's, 3.13 trixie's.",
        "the suite's, where requirements or Jupyter need one; otherwise none", "python: \"3.9\"", "^3\\.[0-9]+$"},
    Key{"debian", Shape::Text, "The Debian suite. Needed only when there is no `python` to decide it.",
        "the one of `python`; otherwise bookworm", "debian: bookworm", "^(bullseye|bookworm|trixie)$"},
    Key{"requirements", Shape::Requirements,
        "Python packages: a list of requirements as pip writes them, or the path of a requirements.txt "
        "or pyproject.toml. A list may take a file in with `-r FILE`. Hashes and environment markers are kept.",
        "none", "requirements: [tensorflow==2.9.0, pandas==1.5.3]"},
    Key{"apt", Shape::TextList, "Debian packages, NAME or NAME=VERSION. Recommended packages are not brought along.",
        "none", "apt: [vim, git]", "^[a-z0-9][a-z0-9+.-]+(=[A-Za-z0-9.+~:-]+)?$"},
    Key{"files", Shape::TextMap,
        "Files and folders of the project that go into the image: where they lie (relative to this file) and the "
        "absolute path inside. What .slipwayignore names is left out.",
        "none", "files: {./notebooks: /workspace/notebooks}"},
    Key{"env", Shape::TextMap, "Environment variables. They can be read by everyone who has the image: no secrets.",
        "none", "env: {TF_CPP_MIN_LOG_LEVEL: \"2\"}"},
    Key{"user", Shape::Text, "Name of the user that works inside (uid and gid 1000).", "dev", "user: dev",
        "^[a-z_][a-z0-9_-]{0,31}$"},
    Key{"services",
        Shape::Table,
        "What runs in a workspace.",
        "none",
        "services: {jupyter: {}, ssh: {}}",
        {},
        kServices},
    Key{"mounts", Shape::TextList,
        "Folders of the host that are mounted: SOURCE:TARGET, with `:rw` to make one writable. A relative source "
        "is relative to this file.",
        "none", "mounts: [\"./data:/data\", \"./out:/workspace/out:rw\"]", "^[^:]+:/[^:]*(:(ro|rw))?$"},
    Key{"resources",
        Shape::Table,
        "Limits of a running workspace.",
        "none",
        "resources: {memory: 8GiB, cpus: 4}",
        {},
        kResources},
    Key{"network", Shape::Text,
        "What a running workspace reaches: `outbound` lets programs out through an HTTP proxy of slipway's (never to "
        "the "
        "host itself), `none` keeps everything inside. Published ports work with both.",
        "outbound", "network: none", "^(outbound|none)$"},
    Key{"run",
        Shape::Steps,
        "Commands that are run once while the image is built, after the packages; each is a layer of its own. They "
        "have no network unless they ask for it.",
        "none",
        "run: [\"echo hello > /opt/hello\"]",
        {},
        kStep},
    Key{"gpu",
        Shape::Table,
        "CUDA and cuDNN to bring. Debian's packages of CUDA lie in its component non-free. The driver's own libraries "
        "come from the host.",
        "none",
        "gpu: {cuda: \"11.2\", cudnn: \"8\"}",
        {},
        kGpu},
    Key{"overrule", Shape::TextList,
        "Packages for which slipway's own table of known gaps is not applied: constraints it would add where a "
        "package's metadata leaves one out.",
        "none", "overrule: [numpy]"},
    Key{"exclude-newer", Shape::Text,
        "Python packages uploaded later than this are not considered: a date or an RFC 3339 time.",
        "the time of locking", "exclude-newer: \"2024-06-01\"", "^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ].+)?$"},
    Key{"import-check", Shape::ListOrFalse,
        "Modules that a build imports at its end, instead of those of the requirements; false: none.",
        "the modules of what `requirements` names", "import-check: [tensorflow, pandas]"},
    Key{"variants", Shape::Variants,
        "Further environments that differ in some keys. Texts and lists replace those above, tables are merged "
        "key by key, and an empty table empties.",
        "none", "variants: {slim: {services: {}}}"},
};

/// Checks values against shapes; its members are mutually recursive, as tables nest.
class Checker {
 public:
  explicit Checker(const SourceText& source) : source_(source) {}

  void table(const Node& node, std::span<const Key> keys, bool in_variant) {
    for (const auto& [key, value] : node.members) {
      const auto found = std::find_if(keys.begin(), keys.end(), [&](const Key& k) { return k.name == key.text; });
      if (found == keys.end() || (in_variant && found->shape == Shape::Variants)) {
        throw unknown(key, keys);
      }
      if (value.kind != Node::Kind::Null) {
        this->value(*found, value);
      }
    }
  }

 private:
  [[nodiscard]] Error unknown(const Node& key, std::span<const Key> keys) const {
    Error error = error_at(source_, key.place, key.text.size(), format("unknown key `{}`", key.text));
    std::vector<std::string> names;
    for (const Key& k : keys) {
      names.emplace_back(k.name);
    }
    if (const auto near = nearest(key.text, names)) {
      error.add_hint(format("did you mean `{}`?", *near));
    } else {
      std::string all;
      for (const std::string& name : names) {
        all += (all.empty() ? "`" : ", `") + name + "`";
      }
      error.add_hint(format("the keys here are {}", all));
    }
    return error;
  }

  [[nodiscard]] Error wrong(const Key& key, const Node& node) const {
    const std::size_t length = node.kind == Node::Kind::Scalar ? node.text.size() : 1;
    std::string found = node.kind == Node::Kind::List ? "a list" : "a table";
    if (node.kind == Node::Kind::Scalar) {
      found = format("`{}`", node.text);
    } else if (node.kind == Node::Kind::Null) {
      found = "nothing";
    }
    Error error =
        error_at(source_, node.place, length, format("`{}` wants {}, not {}", key.name, words_for(key.shape), found));
    if (!key.example.empty()) {
      error.add_hint(format("for example `{}`", key.example));
    }
    return error;
  }

  void value(const Key& key, const Node& node) {
    const bool scalar = node.kind == Node::Kind::Scalar;
    bool right = false;
    switch (key.shape) {
      case Shape::Text: right = scalar; break;
      case Shape::Flag: right = scalar && flag_value(node.text).has_value(); break;
      case Shape::Size: right = scalar && size_value(node.text).has_value(); break;
      case Shape::Number: right = scalar && number_value(node.text).has_value(); break;
      case Shape::Count: right = scalar && count_value(node.text).has_value(); break;
      case Shape::TextList: right = texts(key, node); break;
      case Shape::TextMap: right = text_map(key, node); break;
      case Shape::Requirements: right = scalar || texts(key, node); break;
      case Shape::ListOrFalse: right = scalar ? flag_value(node.text) == false : texts(key, node); break;
      case Shape::Steps: right = steps(key, node); break;
      case Shape::Table:
      case Shape::OnTable: right = nested(key, node); break;
      case Shape::Variants: right = variants(key, node); break;
    }
    if (!right) {
      throw wrong(key, node);
    }
  }

  bool texts(const Key& key, const Node& node) const {
    if (node.kind != Node::Kind::List) {
      return false;
    }
    for (const Node& item : node.items) {
      if (item.kind != Node::Kind::Scalar) {
        throw wrong(key, item);
      }
    }
    return true;
  }
  bool text_map(const Key& key, const Node& node) const {
    if (node.kind != Node::Kind::Map) {
      return false;
    }
    for (const auto& [name, value] : node.members) {
      if (value.kind != Node::Kind::Scalar) {
        throw wrong(key, value.kind == Node::Kind::Null ? name : value);
      }
    }
    return true;
  }
  bool steps(const Key& key, const Node& node) {
    if (node.kind != Node::Kind::List) {
      return false;
    }
    for (const Node& item : node.items) {
      if (item.kind == Node::Kind::Map) {
        nested(key, item);
      } else if (item.kind != Node::Kind::Scalar) {
        throw wrong(key, item);
      }
    }
    return true;
  }
  bool nested(const Key& key, const Node& node) {
    if (node.kind != Node::Kind::Map) {
      return false;
    }
    table(node, key.nested, false);
    for (const Key& inner : key.nested) {
      const Node* there = node.find(inner.name);
      if (inner.required && !node.members.empty() && (there == nullptr || there->kind == Node::Kind::Null)) {
        throw error_at(source_, node.place, 1, format("`{}` needs `{}`", key.name, inner.name))
            .add_hint(format("for example `{}`", inner.example));
      }
    }
    return true;
  }
  bool variants(const Key& key, const Node& node) {
    if (node.kind != Node::Kind::Map) {
      return false;
    }
    for (const auto& [name, value] : node.members) {
      if (!valid_name(name.text)) {
        throw error_at(source_, name.place, name.text.size(), format("`{}` is no name for a variant", name.text))
            .add_hint("use lower-case letters, digits and single `-`, `_` or `.` between them");
      }
      if (value.kind != Node::Kind::Map && value.kind != Node::Kind::Null) {
        throw wrong(key, value);
      }
      table(value, top_keys(), true);
    }
    return true;
  }

  const SourceText& source_;
};

}  // namespace

std::span<const Key> top_keys() { return kTop; }

std::string_view words_for(Shape shape) {
  switch (shape) {
    case Shape::Text: return "a text";
    case Shape::Flag: return "true or false";
    case Shape::Size: return "a size such as 8GiB or 512MB";
    case Shape::Number: return "a number above 0";
    case Shape::Count: return "a whole number above 0";
    case Shape::TextList: return "a list of texts";
    case Shape::TextMap: return "a table of texts";
    case Shape::Requirements: return "a list of requirements or the path of a file";
    case Shape::Steps: return "a list of commands";
    case Shape::ListOrFalse: return "a list of texts, or false";
    case Shape::Table:
    case Shape::OnTable: return "a table";
    case Shape::Variants: return "a table of variants, each a table of keys";
  }
  return "something else";
}

void check_keys(const SourceText& source, const Node& node, std::span<const Key> table) {
  Checker(source).table(node, table, false);
}

}  // namespace slip::spec
