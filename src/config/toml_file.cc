#include "config/toml_file.h"

// The library's own objects are not linked: one file includes it, so header-only costs nothing.
#define TOML_HEADER_ONLY 1

#include <algorithm>

#include "config/settings.h"
#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "core/toml.h"
#include "core/utf8.h"

namespace slip::config {
namespace {

std::string place(const std::string& file, const toml::source_region& at) {
  return format("{}:{}:{}", file, at.begin.line, at.begin.column);
}

[[noreturn]] void wrong_type(const std::string& file, const toml::node& node, const std::string& key,
                             std::string_view wanted) {
  throw Error(ErrorKind::Invalid, "{}: `{}` must be {}", place(file, node.source()), key, wanted);
}

std::vector<std::string> strings_of(const std::string& file, const toml::node& node, const std::string& key,
                                    std::string_view wanted = "a URL or a list of URLs") {
  if (const auto* one = node.as_string()) {
    return {one->get()};
  }
  const toml::array* list = node.as_array();
  if (list == nullptr) {
    wrong_type(file, node, key, wanted);
  }
  std::vector<std::string> values;
  for (const toml::node& item : *list) {
    const auto* text = item.as_string();
    if (text == nullptr) {
      wrong_type(file, item, key, wanted);
    }
    values.push_back(text->get());
  }
  return values;
}

class Flattener {
 public:
  explicit Flattener(std::string file) : file_(std::move(file)) {}

  void table(const toml::table& table, const std::string& prefix) {
    for (const auto& [name, node] : table) {
      const std::string key = prefix + std::string(name.str());
      if (const toml::table* inner = node.as_table(); inner != nullptr && (key == "sources" || key == "http")) {
        this->table(*inner, key + ".");
      } else if (key == "registries" && inner != nullptr) {
        for (const auto& [host, settings] : *inner) {
          registry(std::string(host.str()), settings);
        }
      } else {
        settings_[key] = {value(key, node, name.source()), format("{}:{}", file_, name.source().begin.line)};
      }
    }
  }

  std::map<std::string, FileSetting> take() { return std::move(settings_); }

 private:
  void registry(const std::string& host, const toml::node& node) {
    const std::string prefix = std::string(kRegistriesPrefix) + host;
    const toml::table* table = node.as_table();
    if (table == nullptr) {
      wrong_type(file_, node, prefix, "a table: [registries.\"HOST\"]");
    }
    for (const auto& [name, one] : *table) {
      const std::string key = prefix + "." + std::string(name.str());
      const auto known = std::find_if(kRegistrySettings.begin(), kRegistrySettings.end(),
                                      [setting = name.str()](const KnownOfRegistry& k) { return k.key == setting; });
      if (known == kRegistrySettings.end()) {
        unknown_of_registry(std::string(name.str()), name.source());
      }
      settings_[key] = {registry_values(one, key, known->kind), format("{}:{}", file_, name.source().begin.line)};
    }
  }

  [[nodiscard]] std::vector<std::string> registry_values(const toml::node& node, const std::string& key,
                                                         KnownOfRegistry::Kind kind) const {
    if (kind == KnownOfRegistry::Kind::Flag) {
      const auto* flag = node.as_boolean();
      if (flag == nullptr) {
        wrong_type(file_, node, key, "true or false");
      }
      return {flag->get() ? "true" : "false"};
    }
    if (kind == KnownOfRegistry::Kind::Path && !node.is_string()) {
      wrong_type(file_, node, key, "a string");
    }
    return strings_of(file_, node, key, "a path or a list of paths");
  }

  [[noreturn]] void unknown_of_registry(const std::string& name, const toml::source_region& at) const {
    Error error(ErrorKind::Invalid, "{}: unknown setting `{}` of a registry", place(file_, at), printable(name));
    std::vector<std::string> names;
    for (const KnownOfRegistry& known : kRegistrySettings) {
      names.emplace_back(known.key);
    }
    const auto near = nearest(name, names);
    throw error.add_hint(near ? format("did you mean `{}`?", *near) : "there are: " + join(names, ", "));
  }

  std::vector<std::string> value(const std::string& key, const toml::node& node, const toml::source_region& at) const {
    const auto* known = std::find_if(kSettings.begin(), kSettings.end(), [&](const Known& k) { return k.key == key; });
    const bool source = key.compare(0, kSourcePrefix.size(), kSourcePrefix) == 0;
    if (source && is_alias(std::string_view(key).substr(kSourcePrefix.size()))) {
      return strings_of(file_, node, key);
    }
    if (known == kSettings.end()) {
      unknown(key, at);
    }
    if (known->kind == Kind::Count) {
      const auto* number = node.as_integer();
      if (number == nullptr || number->get() < 0) {
        wrong_type(file_, node, key, "a number, 0 or more");
      }
      return {std::to_string(number->get())};
    }
    const auto* text = node.as_string();
    if (text == nullptr) {
      wrong_type(file_, node, key, "a string");
    }
    return {text->get()};
  }

  [[noreturn]] void unknown(const std::string& key, const toml::source_region& at) const {
    Error error(ErrorKind::Invalid, "{}: unknown setting `{}`", place(file_, at), printable(key));
    std::vector<std::string> names = {"sources", "http", "registries"};
    for (const Known& known : kSettings) {
      names.emplace_back(known.key);
    }
    if (const auto name = nearest(key, names)) {
      error.add_hint(format("did you mean `{}`?", *name));
    } else {
      error.add_hint("`slipway config` lists every setting");
    }
    throw error;
  }

  std::string file_;
  std::map<std::string, FileSetting> settings_;
};

}  // namespace

std::map<std::string, FileSetting> parse_config(std::string_view text, const std::string& file) {
  if (const auto at = first_non_text(text)) {  // toml++ relies on what it reads being text
    throw Error(ErrorKind::Invalid, "{}:{}:{}: a byte that no text has", file, at->line, at->column);
  }
  try {
    Flattener flat(file);
    flat.table(toml::parse(text), "");
    return flat.take();
  } catch (const toml::parse_error& e) {
    throw Error(ErrorKind::Invalid, "{}: {}", place(file, e.source()), printable(e.description()));
  }
}

UvToml parse_uv_toml(std::string_view text) {
  UvToml found;
  const auto add = [](std::string& to, const toml::node* node) {
    if (node != nullptr && node->is_string()) {
      to += " " + node->as_string()->get();
    } else if (node != nullptr && node->is_array()) {
      for (const toml::node& item : *node->as_array()) {
        to += item.is_string() ? " " + item.as_string()->get() : "";
      }
    }
  };
  if (first_non_text(text)) {
    return {};
  }
  try {
    const toml::table all = toml::parse(text);
    for (const toml::table* table : {&all, all["pip"].as_table()}) {
      if (table != nullptr) {
        add(found.chosen, table->get("index-url"));
        add(found.extra, table->get("extra-index-url"));
      }
    }
    if (const toml::array* indexes = all["index"].as_array()) {
      for (const toml::node& one : *indexes) {
        if (const toml::table* index = one.as_table()) {
          // An explicit index serves only the packages that a project pins to it.
          if (!(*index)["explicit"].value_or(false)) {
            add((*index)["default"].value_or(false) ? found.chosen : found.extra, index->get("url"));
          }
        }
      }
    }
  } catch (const toml::parse_error&) {
    return {};
  }
  return found;
}

std::string toml_string(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      out += format("\\u{:04x}", static_cast<unsigned>(c));
    } else {
      out += c;
    }
  }
  return out + "\"";
}

std::string toml_list(const std::vector<std::string>& values) {
  std::string out = "[";
  for (const std::string& value : values) {
    out += (out.size() > 1 ? ", " : "") + toml_string(value);
  }
  return out + "]";
}

}  // namespace slip::config
