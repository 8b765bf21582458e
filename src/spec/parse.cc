// From slipway.yaml's tree to a Spec: one variant laid over the base, values checked, defaults filled in.
#include <algorithm>
#include <set>

#include "core/debian_release.h"
#include "core/suggest.h"
#include "core/text.h"
#include "os/file.h"
#include "spec/keys.h"
#include "spec/pep508.h"
#include "spec/requirements.h"
#include "spec/spec.h"
#include "spec/value.h"

namespace slip::spec {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kDefaultSuite = "bookworm";

/// Lays a variant over the base: texts and lists replace, tables merge key by key, an empty table empties, nothing
/// (`~`) unsets.
Node merged(const Node& base, const Node& variant) {
  Node result = base;
  for (const auto& [key, value] : variant.members) {
    Node* there = result.find(key.text);
    if (there == nullptr) {
      result.members.push_back({key, value});
      continue;
    }
    if (value.kind == Node::Kind::Map && there->kind == Node::Kind::Map && !value.members.empty()) {
      for (const auto& [inner_key, inner] : value.members) {
        if (Node* old = there->find(inner_key.text)) {
          *old = inner;
        } else {
          there->members.push_back({inner_key, inner});
        }
      }
    } else {
      *there = value;
    }
  }
  return result;
}

/// Fills a Spec from a tree whose keys and shapes are already checked.
class Binder {
 public:
  Binder(const SourceText& source, const Node& root, Spec& spec) : source_(source), root_(root), spec_(spec) {}

  void bind() {
    name();
    interpreter();
    requirements();
    judge_python();
    apt();
    files();
    env();
    services();
    mounts();
    resources();
    network();
    steps();
    gpu();
    overrule();
    user();
    exclude_newer();
    import_check();
  }

 private:
  /// The value of a key; null where it is missing or empty.
  [[nodiscard]] static const Node* value(const Node& table, std::string_view key) {
    const Node* node = table.find(key);
    return node == nullptr || node->kind == Node::Kind::Null ? nullptr : node;
  }
  [[nodiscard]] const Node* value(std::string_view key) const { return value(root_, key); }
  [[nodiscard]] Error error(const Node& node, const std::string& message) const {
    return error_at(source_, node.place, node.text.size() + (node.quoted ? 2 : 0), message);
  }

  void name() {
    const Node* node = value("name");
    if (node == nullptr) {
      throw Error(ErrorKind::Invalid, "{}: `name` is missing", source_.file)
          .add_hint("add a line such as `name: my-project`");
    }
    if (!valid_name(node->text)) {
      throw error(*node, format("`{}` cannot be the name of an image", printable(node->text)))
          .add_hint("use lower-case letters, digits and single `-`, `_` or `.` between them, at most 63");
    }
    spec_.name = node->text;
  }

  void user() {
    if (const Node* node = value("user")) {
      if (!valid_user(node->text)) {
        throw error(*node, format("`{}` cannot be the user's name", printable(node->text)))
            .add_hint("use lower-case letters, digits, `-` and `_`, at most 32, and not `root`");
      }
      spec_.user = node->text;
    }
  }

  void interpreter() {
    const Node* python = value("python");
    const Node* debian = value("debian");
    if (debian != nullptr) {
      if (debian_release(debian->text) == nullptr) {
        Error unknown = error(*debian, format("slipway knows no Debian suite `{}`", printable(debian->text)));
        const std::vector<std::string> suites = debian_release_names();
        const auto near = nearest(debian->text, suites);
        throw unknown.add_hint(near ? format("did you mean `{}`?", *near) : "there are " + join(suites, ", "));
      }
      spec_.suite = debian->text;
    }
    if (python != nullptr) {
      const DebianRelease* known = debian_release_with_python(python->text);
      if (known == nullptr) {
        throw error(*python, format("no Debian suite that slipway knows brings Python {}", printable(python->text)))
            .add_hint("there are " + known_interpreters());
      }
      if (debian != nullptr && known->name != debian->text) {
        throw error(*python, format("Python {} is {}'s, but `debian` says {}", python->text, known->name, debian->text))
            .add_hint(format("leave `debian` out, or write `python: \"{}\"`", debian_release(debian->text)->python));
      }
      spec_.python = python->text;
      spec_.suite = known->name;
    }
    if (spec_.suite.empty()) {
      spec_.suite = kDefaultSuite;
    }
  }

  void requirements() {
    const Node* node = value("requirements");
    if (node == nullptr) {
      return;
    }
    if (node->kind == Node::Kind::Scalar) {
      take_file(node->text, node->text_place());
      return;
    }
    for (const Node& item : node->items) {
      const std::string text(trim(item.text));
      if (text.starts_with("-r ") || text.starts_with("--requirement ")) {
        take_file(std::string(trim(text.substr(text.find(' ')))), item.text_place());
      } else {
        spec_.requirements.push_back(read_requirement(source_, item.text_place(), text));
      }
    }
  }
  void take_file(const std::string& file, const Place& place) {
    RequirementsFile read = read_requirements(spec_.folder, file, &source_, place);
    spec_.requirements.insert(spec_.requirements.end(), read.requirements.begin(), read.requirements.end());
    if (!read.requires_python.empty()) {
      requires_python_.push_back({read.requires_python, read.requires_python_place});
    }
  }

  /// Python is there where something needs it, and is one that the project allows.
  void judge_python() {
    const Node* services = value("services");
    const bool needed = !spec_.requirements.empty() || (services != nullptr && services->find("jupyter") != nullptr);
    if (spec_.python.empty() && needed) {
      spec_.python = debian_release(spec_.suite)->python;
    }
    for (const auto& [specifiers, place] : requires_python_) {
      if (!version_satisfies(spec_.python, specifiers)) {
        throw Error(ErrorKind::Invalid, "{}: the project wants Python `{}`, the spec gives {}", to_string(place),
                    printable(specifiers), spec_.python)
            .add_hint("set `python` in the spec: there are " + known_interpreters());
      }
    }
  }

  void apt() {
    std::set<std::string> seen;
    for (const Node& item : items("apt")) {
      if (!valid_apt(item.text)) {
        throw error(item, format("`{}` is not a Debian package", printable(item.text)))
            .add_hint("write NAME or NAME=VERSION; names are lower-case letters, digits, `+`, `-` and `.`");
      }
      if (!seen.insert(item.text.substr(0, item.text.find('='))).second) {
        throw error(item, format("`{}` is listed twice", item.text));
      }
      spec_.apt.push_back({item.text, item.text_place()});
    }
  }

  void files() {
    for (const auto& [source, target] : members("files")) {
      const fs::path normal = fs::path(source.text).lexically_normal();
      if (source.text.empty() || normal.is_absolute() || *normal.begin() == "..") {
        throw error(source, format("`{}` lies outside the project", printable(source.text)))
            .add_hint("copy it into the folder of the spec, or use `mounts` for what stays on the host");
      }
      if (const std::string fault = target_fault(target.text); !fault.empty()) {
        throw error(target, format("the target `{}` {}", printable(target.text), fault))
            .add_hint("write an absolute path such as `/workspace/data`");
      }
      spec_.files.push_back({source.text, tidy_path(target.text), source.text_place()});
    }
  }

  void env() {
    for (const auto& [key, text] : members("env")) {
      if (!valid_env_name(key.text)) {
        throw error(key, format("`{}` cannot be the name of an environment variable", printable(key.text)));
      }
      spec_.env[key.text] = text.text;
    }
  }

  void services() {
    const Node* node = value("services");
    if (node == nullptr) {
      return;
    }
    // Being named switches a service on: `ssh:` alone is enough.
    if (const Node* jupyter = node->find("jupyter")) {
      Jupyter wanted;
      for (const Node& item : items(*jupyter, "nbextensions")) {
        const std::vector<std::string_view> parts = split(item.text, '/');
        const bool safe =
            parts.size() >= 2 && std::all_of(parts.begin(), parts.end(), [](std::string_view part) {
              return !part.empty() && part != "." && part != ".." &&
                     part.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-") ==
                         std::string_view::npos;
            });
        if (!safe) {
          throw error(item, format("`{}` is not a notebook extension", printable(item.text)))
              .add_hint("write FOLDER/NAME, such as `codefolding/main`");
        }
        wanted.nbextensions.push_back(item.text);
      }
      if (const Node* lab = value(*jupyter, "lab")) {
        wanted.lab = flag_value(lab->text).value_or(false);
      }
      spec_.services.jupyter = wanted;
    }
    if (const Node* ssh = node->find("ssh")) {
      Ssh wanted;
      for (const Node& item : items(*ssh, "keys")) {
        if (split_words(item.text).size() < 2 || item.text.find('\n') != std::string::npos ||
            item.text.find("PRIVATE") != std::string::npos) {
          throw error(item, "this is not a public key")
              .add_hint("write the line of a .pub file: `ssh-ed25519 AAAA… name`");
        }
        wanted.keys.push_back(item.text);
      }
      spec_.services.ssh = wanted;
    }
  }

  void mounts() {
    std::set<std::string> targets;
    for (const Node& item : items("mounts")) {
      std::vector<std::string_view> parts = split(item.text, ':');
      MountRequest mount;
      if (parts.size() == 3 && (parts[2] == "ro" || parts[2] == "rw")) {
        mount.read_only = parts[2] == "ro";
        parts.pop_back();
      }
      if (parts.size() != 2 || parts[0].empty()) {
        throw error(item, format("`{}` is not a mount", printable(item.text)))
            .add_hint("write SOURCE:TARGET, or SOURCE:TARGET:rw to make it writable");
      }
      mount.source = parts[0];
      if (const std::string fault = mount_fault(parts[1]); !fault.empty()) {
        throw error(item, format("the target `{}` {}", printable(parts[1]), fault))
            .add_hint("mount into a folder of its own, such as `/data`");
      }
      mount.target = tidy_path(parts[1]);
      if (!targets.insert(mount.target).second) {
        throw error(item, format("two mounts at `{}`", mount.target));
      }
      mount.place = item.text_place();
      spec_.mounts.push_back(std::move(mount));
    }
  }

  void network() {
    if (const Node* node = value("network")) {
      if (node->text != "none" && node->text != "outbound") {
        throw error(*node, format("`{}` is no kind of network", printable(node->text)))
            .add_hint("write `network: none`, or `network: outbound`, which is the default");
      }
      spec_.outbound = node->text == "outbound";
    }
  }

  void resources() {
    const Node* node = value("resources");
    if (node == nullptr) {
      return;
    }
    if (const Node* memory = value(*node, "memory")) {
      spec_.resources.memory_bytes = size_value(memory->text);
      if (*spec_.resources.memory_bytes < (16U << 20)) {
        throw error(*memory, format("`{}` is less than 16MiB, in which nothing starts", memory->text));
      }
    }
    if (const Node* cpus = value(*node, "cpus")) {
      spec_.resources.cpus = number_value(cpus->text);
    }
    if (const Node* pids = value(*node, "pids")) {
      spec_.resources.pids = count_value(pids->text);
    }
    if (const Node* shm = value(*node, "shm")) {
      spec_.resources.shm_bytes = size_value(shm->text);
    }
  }

  void steps() {
    for (const Node& item : items("run")) {
      RunStep step;
      step.place = item.text_place();
      if (item.kind == Node::Kind::Scalar) {
        step.command = item.text;
      } else {
        const Node* command = value(item, "command");
        if (command == nullptr) {
          throw error(item, "a step of `run` needs a `command`");
        }
        step.command = command->text;
        step.place = command->text_place();
        if (const Node* network = value(item, "network")) {
          step.network = flag_value(network->text).value_or(false);
        }
      }
      if (trim(step.command).empty()) {
        throw error(item, "an empty command");
      }
      spec_.run.push_back(std::move(step));
    }
  }

  void gpu() {
    const Node* node = value("gpu");
    if (node == nullptr || node->members.empty()) {
      return;
    }
    Gpu wanted;
    for (const auto& [key, into] : {std::pair{"cuda", &wanted.cuda}, std::pair{"cudnn", &wanted.cudnn}}) {
      const Node* version = value(*node, key);
      if (version == nullptr) {
        throw error(*node, format("`gpu` needs `{}`", key))
            .add_hint("for example `gpu: {cuda: \"11.2\", cudnn: \"8\"}`");
      }
      const std::vector<std::string_view> parts = split(version->text, '.');
      if (std::any_of(parts.begin(), parts.end(), [](std::string_view p) {
            return p.empty() || p.find_first_not_of("0123456789") != std::string_view::npos;
          })) {
        throw error(*version, format("`{}` is not a version", printable(version->text)));
      }
      *into = version->text;
    }
    wanted.place = value(*node, "cuda")->text_place();
    spec_.gpu = wanted;
  }

  void overrule() {
    for (const Node& item : items("overrule")) {
      if (requirement_fault(item.text) || requirement_name(item.text) != item.text) {
        throw error(item, format("`{}` is not the name of a Python package", printable(item.text)));
      }
      // PEP 503: the name as indexes know it.
      std::string normal;
      for (const char c : to_lower(item.text)) {
        const bool separator = c == '-' || c == '_' || c == '.';
        if (!separator) {
          normal += c;
        } else if (!normal.ends_with('-')) {
          normal += '-';
        }
      }
      spec_.overrule.push_back(normal);
    }
  }

  void exclude_newer() {
    if (const Node* node = value("exclude-newer")) {
      const auto time = time_value(node->text);
      if (!time) {
        throw error(*node, format("`{}` is neither a date nor a time", printable(node->text)))
            .add_hint("write `2024-06-01` or `2024-06-01T12:00:00Z`");
      }
      spec_.exclude_newer = *time;
    }
  }

  void import_check() {
    const Node* node = value("import-check");
    if (node == nullptr) {
      return;
    }
    if (node->kind == Node::Kind::Scalar) {
      spec_.import_check = {"none"};
      return;
    }
    for (const Node& item : node->items) {
      const std::vector<std::string_view> parts = split(item.text, '.');
      if (!std::all_of(parts.begin(), parts.end(), [](std::string_view part) { return valid_env_name(part); })) {
        throw error(item, format("`{}` is not the name of a module", printable(item.text)));
      }
      spec_.import_check.push_back(item.text);
    }
  }

  [[nodiscard]] static const std::vector<Node>& items(const Node& table, std::string_view key) {
    static const std::vector<Node> kNone;
    const Node* node = value(table, key);
    return node == nullptr ? kNone : node->items;
  }
  [[nodiscard]] const std::vector<Node>& items(std::string_view key) const { return items(root_, key); }
  [[nodiscard]] const std::vector<Node::Member>& members(std::string_view key) const {
    static const std::vector<Node::Member> kNone;
    const Node* node = value(key);
    return node == nullptr ? kNone : node->members;
  }

  const SourceText& source_;
  const Node& root_;
  Spec& spec_;
  std::vector<std::pair<std::string, Place>> requires_python_;
};

const Node& find_variant(const Node& root, const std::string& file, const std::string& variant) {
  static const Node kNothing;
  const Node* variants = root.find("variants");
  const Node* found = variants == nullptr ? nullptr : variants->find(variant);
  if (found != nullptr) {
    return found->kind == Node::Kind::Null ? kNothing : *found;
  }
  Error error(ErrorKind::NotFound, "{} has no variant `{}`", file, printable(variant));
  std::vector<std::string> names;
  if (variants != nullptr) {
    for (const auto& [name, value] : variants->members) {
      names.push_back(name.text);
    }
  }
  if (const auto near = nearest(variant, names)) {
    error.add_hint(format("did you mean `{}`?", *near));
  } else if (!names.empty()) {
    error.add_hint(format("its variants are {}", join(names, ", ")));
  } else {
    error.add_hint("it has no `variants`");
  }
  throw error;
}

Node without(Node root, std::string_view key) {
  std::erase_if(root.members, [&](const auto& m) { return m.key.text == key; });
  return root;
}

}  // namespace

Spec parse(std::string_view yaml, const std::string& file_name, const fs::path& folder, const std::string& variant) {
  const SourceText source{file_name, yaml};
  const Node document = read_yaml(source);
  if (document.kind == Node::Kind::Null) {
    throw Error(ErrorKind::Invalid, "{}: there is nothing in it", file_name)
        .add_hint("`slipway init --force` writes one to start from");
  }
  if (document.kind != Node::Kind::Map) {
    throw error_at(source, document.place, 1, "a spec is a table of keys, such as `name: my-project`");
  }
  check_keys(source, document, top_keys());
  Spec spec;
  spec.folder = folder;
  spec.variant = variant;
  Node root = without(document, "variants");
  if (!variant.empty()) {
    root = merged(root, find_variant(document, file_name, variant));
  }
  Binder(source, root, spec).bind();
  return spec;
}

Spec load(const fs::path& file, const std::string& variant) {
  const auto text = fs::is_directory(file) ? std::nullopt : os::read_file_if_any(file, Limits{}.bytes);
  if (!text) {
    throw Error(ErrorKind::NotFound, "there is no file `{}`", file.string())
        .add_hint("run `slipway init` to write one");
  }
  const fs::path folder = fs::absolute(file).lexically_normal().parent_path();
  return parse(*text, file.filename().string(), folder, variant);
}

}  // namespace slip::spec
