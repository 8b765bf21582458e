#include "lock/lock.h"

#include <algorithm>
#include <set>

#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "core/time.h"
#include "core/toml.h"
#include "core/utf8.h"

namespace slip::lock {
namespace {

/// A TOML basic string.
std::string quoted(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20 || byte == 0x7f) {
      out += format("\\u{:04x}", static_cast<unsigned>(byte));
    } else {
      out += c;
    }
  }
  return out + '"';
}

std::string artifact_fields(const Artifact& a) {
  return format("source = {}, file = {}, size = {}, sha256 = \"{}\"", quoted(a.source), quoted(a.file), a.size,
                a.sha256.hex());
}

std::string line_of(const Deb& d) {
  return format("  {{ name = {}, version = {}, arch = {}, {}, layer = {}, why = {} }},\n", quoted(d.name),
                quoted(d.version), quoted(d.arch), artifact_fields(d.artifact), quoted(d.layer), quoted(d.why));
}

std::string line_of(const Wheel& w) {
  std::string line =
      format("  {{ name = {}, version = {}, {}", quoted(w.name), quoted(w.version), artifact_fields(w.artifact));
  if (w.built) {
    std::string with;
    for (const std::string& tool : w.built->with) {
      with += (with.empty() ? "" : ", ") + quoted(tool);
    }
    line += format(", built = {{ file = {}, size = {}, sha256 = \"{}\", with = [{}] }}", quoted(w.built->file),
                   w.built->size, w.built->sha256.hex(), with);
  }
  if (!w.layer.empty()) {
    line += ", layer = " + quoted(w.layer);
  }
  return line + ", why = " + quoted(w.why) + " },\n";
}

std::string line_of(const Added& a) {
  return format("  {{ constraint = {}, because = {} }},\n", quoted(a.constraint), quoted(a.because));
}

std::string line_of(const LeftOut& l) {
  return format("  {{ name = {}, because = {} }},\n", quoted(l.name), quoted(l.because));
}

template <class Item>
std::string array_of(std::string_view key, const std::vector<Item>& items) {
  if (items.empty()) {
    return {};
  }
  std::string text = format("\n{} = [\n", key);
  for (const Item& item : items) {
    text += line_of(item);
  }
  return text + "]\n";
}

/// Reads tables strictly: every key must be known, every value of the right type.
class Reader {
 public:
  Reader(const toml::table& table, const std::string& file) : table_(table), file_(file) {}

  std::string text(const char* key, bool required = true) {
    const toml::node* node = get(key);
    if (node == nullptr) {
      if (!required) {
        return {};
      }
      throw complain(table_, format("`{}` is missing", key));
    }
    const auto value = node->value_exact<std::string>();
    if (!value) {
      throw complain(*node, format("`{}` must be a string", key));
    }
    return *value;
  }
  std::uint64_t number(const char* key) {
    const toml::node* node = get(key);
    const auto value = node == nullptr ? std::nullopt : node->value_exact<std::int64_t>();
    if (!value || *value < 0) {
      throw complain(node == nullptr ? static_cast<const toml::node&>(table_) : *node,
                     format("`{}` must be a whole number", key));
    }
    return static_cast<std::uint64_t>(*value);
  }
  Digest digest(const char* key) {
    const std::string value = text(key);
    const auto parsed = Digest::parse(value);
    if (!parsed) {
      throw complain(*table_.get(key), format("`{}` must be a SHA-256 digest", key));
    }
    return *parsed;
  }
  const toml::table* table(const char* key) {
    const toml::node* node = get(key);
    if (node == nullptr) {
      return nullptr;
    }
    if (!node->is_table()) {
      throw complain(*node, format("`{}` must be a table", key));
    }
    return node->as_table();
  }
  const toml::array* array(const char* key) {
    const toml::node* node = get(key);
    if (node == nullptr) {
      return nullptr;
    }
    if (!node->is_array()) {
      throw complain(*node, format("`{}` must be an array", key));
    }
    return node->as_array();
  }
  void finish() {
    for (const auto& [key, value] : table_) {
      if (!used_.contains(key.str())) {
        throw complain(key, format("the key `{}` is not known to this slipway", printable(key.str())));
      }
    }
  }
  /// The relative path of a file; it becomes a path on this host and part of an address.
  std::string path(const char* key) {
    const std::string value = text(key);
    const std::vector<std::string_view> parts = split(value, '/');
    const bool leads_out = std::any_of(
        parts.begin(), parts.end(), [](std::string_view part) { return part.empty() || part == "." || part == ".."; });
    if (leads_out || printable(value) != value) {
      throw complain(*get(key), format("`{}` is not the path of a file: `{}`", key, printable(value)));
    }
    return value;
  }
  /// The name of a file without any folder.
  std::string file_name(const char* key) {
    std::string value = path(key);
    if (value.find('/') != std::string::npos) {
      throw complain(*get(key), format("`{}` must be a file's name alone: `{}`", key, value));
    }
    return value;
  }
  std::string time(const char* key) {
    std::string value = text(key);
    try {
      epoch_of(value);
    } catch (const Error& e) {
      throw complain(*get(key), e.chain().front());
    }
    return value;
  }
  /// `at`: a node or a key.
  template <class At>
  Error complain(const At& at, const std::string& what) const {
    const toml::source_position begin = at.source().begin;
    Error error(ErrorKind::Invalid, "{}:{}:{}: {}", file_, begin.line, begin.column, what);
    error.add_hint("run `slipway lock` to write the lock anew");
    return error;
  }

 private:
  const toml::node* get(const char* key) {
    used_.insert(key);
    return table_.get(key);
  }

  const toml::table& table_;
  const std::string& file_;
  std::set<std::string_view> used_;  ///< keys that were asked for
};

Artifact read_artifact(Reader& in, bool in_folders) {
  Artifact a;
  a.source = in.text("source");
  a.file = in_folders ? in.path("file") : in.file_name("file");
  a.size = in.number("size");
  a.sha256 = in.digest("sha256");
  return a;
}

Deb read_deb(const toml::table& table, const std::string& file) {
  Reader in(table, file);
  Deb d;
  d.name = in.text("name");
  d.version = in.text("version");
  d.arch = in.text("arch");
  d.artifact = read_artifact(in, true);
  d.layer = in.text("layer");
  d.why = in.text("why");
  in.finish();
  return d;
}

std::vector<std::string> read_texts(Reader& in, const char* key) {
  std::vector<std::string> texts;
  if (const toml::array* array = in.array(key)) {
    for (const toml::node& node : *array) {
      const auto value = node.value_exact<std::string>();
      if (!value) {
        throw in.complain(node, format("`{}` must hold strings", key));
      }
      texts.push_back(*value);
    }
  }
  return texts;
}

Wheel read_wheel(const toml::table& table, const std::string& file) {
  Reader in(table, file);
  Wheel w;
  w.name = in.text("name");
  w.version = in.text("version");
  w.artifact = read_artifact(in, false);
  if (const toml::table* built = in.table("built")) {
    Reader inner(*built, file);
    Wheel::Built b;
    b.file = inner.file_name("file");
    b.size = inner.number("size");
    b.sha256 = inner.digest("sha256");
    b.with = read_texts(inner, "with");
    inner.finish();
    w.built = std::move(b);
  }
  w.layer = in.text("layer", false);
  w.why = in.text("why");
  in.finish();
  return w;
}

Added read_added(const toml::table& table, const std::string& file) {
  Reader in(table, file);
  Added a{in.text("constraint"), in.text("because")};
  in.finish();
  return a;
}

LeftOut read_left_out(const toml::table& table, const std::string& file) {
  Reader in(table, file);
  LeftOut l{in.text("name"), in.text("because")};
  in.finish();
  return l;
}

template <class Item>
std::vector<Item> read_all(Reader& in, const char* key, const std::string& file,
                           Item (*read)(const toml::table&, const std::string&)) {
  std::vector<Item> items;
  if (const toml::array* array = in.array(key)) {
    for (const toml::node& node : *array) {
      if (!node.is_table()) {
        throw in.complain(node, format("`{}` must hold tables", key));
      }
      items.push_back(read(*node.as_table(), file));
    }
  }
  return items;
}

/// A merge leaves marks that only look like a fault in the syntax.
void refuse_merge_conflict(std::string_view text, const std::string& file) {
  int line = 0;
  for (const std::string_view content : split(text, '\n')) {
    ++line;
    if (content.starts_with("<<<<<<<") || content.starts_with("=======") || content.starts_with(">>>>>>>")) {
      throw Error(ErrorKind::Invalid, "{}:{}:1: a merge conflict stands in it", file, line)
          .add_hint("run `slipway lock`: it resolves the merged spec anew and keeps what still fits");
    }
  }
}

toml::table parse_toml(std::string_view text, const std::string& file) {
  refuse_merge_conflict(text, file);
  if (const auto at = first_non_text(text)) {  // toml++ relies on what it reads being text
    throw Error(ErrorKind::Invalid, "{}:{}:{}: a byte that no text has", file, at->line, at->column)
        .add_hint("run `slipway lock` to write the lock anew");
  }
  try {
    return toml::parse(text, file);
  } catch (const toml::parse_error& e) {
    Error error(ErrorKind::Invalid, "{}:{}:{}: {}", file, e.source().begin.line, e.source().begin.column,
                printable(e.description()));
    error.add_hint("run `slipway lock` to write the lock anew");
    throw error;
  }
}

}  // namespace

std::string to_toml(const Lock& lock) {
  std::string text =
      "# Written by `slipway lock`: every byte of the image by name, size and SHA-256.\n"
      "# Review its diff; do not edit it.\n";
  text += format("format = {}\n", Lock::kFormat);
  text += format("spec = \"{}\"\n", lock.spec.text());
  text += format("suite = {}\nsnapshot = {}\n", quoted(lock.suite), quoted(lock.snapshot));
  if (!lock.python.empty()) {
    text += format("python = {}\nexclude-newer = {}\n", quoted(lock.python), quoted(lock.exclude_newer));
  }
  text += format("encoder = {}\nslipway-init = \"{}\"\n", quoted(lock.encoder), lock.init.text());
  text += array_of("added", lock.added);
  text += array_of("left-out", lock.left_out);
  text += array_of("deb", lock.debs);
  text += array_of("wheel", lock.wheels);
  text += array_of("build-tool", lock.build_tools);
  text += array_of("tool", lock.tools);
  return text;
}

Lock from_toml(std::string_view text, const std::string& file_name) {
  const toml::table root = parse_toml(text, file_name);
  Reader in(root, file_name);
  if (const std::uint64_t found = in.number("format"); found != Lock::kFormat) {
    Error error(ErrorKind::Unsupported, "{} has lock format {}, this slipway reads format {}", file_name, found,
                Lock::kFormat);
    error.add_hint(found > Lock::kFormat ? "update slipway" : "run `slipway lock` to write the lock anew");
    throw error;
  }
  Lock lock;
  lock.spec = in.digest("spec");
  lock.suite = in.text("suite");
  lock.snapshot = in.time("snapshot");
  lock.python = in.text("python", false);
  lock.exclude_newer = in.text("exclude-newer", false);
  lock.encoder = in.text("encoder");
  lock.init = in.digest("slipway-init");
  lock.added = read_all<Added>(in, "added", file_name, read_added);
  lock.left_out = read_all<LeftOut>(in, "left-out", file_name, read_left_out);
  lock.debs = read_all<Deb>(in, "deb", file_name, read_deb);
  lock.wheels = read_all<Wheel>(in, "wheel", file_name, read_wheel);
  lock.build_tools = read_all<Wheel>(in, "build-tool", file_name, read_wheel);
  lock.tools = read_all<Wheel>(in, "tool", file_name, read_wheel);
  in.finish();
  return lock;
}

Digest digest(const Lock& lock) { return codec::sha256(to_toml(lock)); }

}  // namespace slip::lock
