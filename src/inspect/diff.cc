#include "inspect/diff.h"

#include <algorithm>
#include <map>
#include <set>

#include "core/text.h"
#include "inspect/packages.h"

namespace slip::inspect {
namespace {

using codec::FileType;

std::string words(const std::vector<std::string>& list) { return join(list, " "); }

/// The configuration as rows that can be compared one by one.
std::map<std::string, std::string> fields_of(const oci::ImageConfig& config) {
  std::map<std::string, std::string> fields = {
      {"user", config.user},
      {"entrypoint", words(config.entrypoint)},
      {"cmd", words(config.cmd)},
      {"working dir", config.working_dir},
      {"stop signal", config.stop_signal},
      {"ports", words({config.exposed_ports.begin(), config.exposed_ports.end()})},
      {"volumes", words({config.volumes.begin(), config.volumes.end()})},
      {"health check", words(config.healthcheck.test)},
      {"platform", config.platform.os + "/" + config.platform.architecture},
      {"created", config.created},
  };
  for (const std::string& variable : config.env) {
    const std::size_t equals = variable.find('=');
    fields["env " + variable.substr(0, equals)] = equals == std::string::npos ? "" : variable.substr(equals + 1);
  }
  for (const auto& [name, value] : config.labels) {
    fields["label " + name] = value;
  }
  return fields;
}

void diff_config(const oci::ImageConfig& a, const oci::ImageConfig& b, ImageDiff& diff) {
  const auto before = fields_of(a);
  const auto after = fields_of(b);
  const auto value = [](const std::map<std::string, std::string>& map, const std::string& key) {
    const auto at = map.find(key);
    return at == map.end() ? std::string() : at->second;
  };
  std::set<std::string> names;
  for (const auto& [name, text] : before) {
    names.insert(name);
  }
  for (const auto& [name, text] : after) {
    names.insert(name);
  }
  for (const std::string& name : names) {
    if (value(before, name) != value(after, name)) {
      diff.config.push_back({name, value(before, name), value(after, name)});
    }
  }
}

void diff_layers(const Subject& a, const Subject& b, ImageDiff& diff) {
  std::set<Digest> blobs;
  for (const oci::Descriptor& layer : a.manifest().layers) {
    blobs.insert(layer.digest);
  }
  for (std::size_t i = 0; i < b.layers(); ++i) {
    if (blobs.contains(b.manifest().layers[i].digest)) {
      diff.shared_layers.push_back(b.layer_name(i));
    }
  }
}

void count_packages(const std::vector<Package>& packages, ImageDiff::Contents& contents) {
  contents.debs = static_cast<std::size_t>(std::ranges::count(packages, "deb", &Package::kind));
  contents.wheels = packages.size() - contents.debs;
}

void diff_packages(const std::vector<Package>& a, const std::vector<Package>& b, ImageDiff& diff) {
  using Key = std::pair<std::string, std::string>;
  std::map<Key, std::pair<std::string, std::string>> versions;
  for (const Package& p : a) {
    versions[{p.kind, p.name}].first = p.version;
  }
  for (const Package& p : b) {
    versions[{p.kind, p.name}].second = p.version;
  }
  for (const auto& [key, pair] : versions) {
    if (pair.first != pair.second) {
      diff.packages.push_back({key.first, key.second, pair.first, pair.second});
    } else {
      ++diff.kept_packages;
    }
  }
  count_packages(a, diff.a);
  count_packages(b, diff.b);
}

/// Names the package of a file with its version.
class Origins {
 public:
  Origins(const Tree& tree, const std::vector<Package>& packages) : owners_(tree) {
    for (const Package& p : packages) {
      versions_.emplace(p.kind + " " + p.name, p.version);
    }
  }
  /// "deb libc6 2.31-13"; empty: no package's.
  [[nodiscard]] std::string of(const std::string& path) const { return with_version(owners_.of(path)); }
  /// "deb libc6" → "deb libc6 2.31-13"; empty where there is no such package.
  [[nodiscard]] std::string with_version(const std::string& owner) const {
    const auto version = versions_.find(owner);
    return version == versions_.end() ? std::string() : owner + " " + version->second;
  }

 private:
  Owners owners_;
  std::map<std::string, std::string> versions_;
};

/// A hard link is a regular file like the one it names.
FileType type_of(const TreeFile& file) {
  return file.entry.type == FileType::HardLink ? FileType::Regular : file.entry.type;
}

std::uint64_t size_of(const Tree& tree, const TreeFile& file) {
  if (file.entry.type == FileType::HardLink) {
    const TreeFile* target = tree.find(file.entry.link);
    return target == nullptr ? 0 : target->entry.size;
  }
  return file.entry.size;
}

std::vector<std::string> changed_fields(const TreeFile& a, const TreeFile& b) {
  if (type_of(a) != type_of(b)) {
    return {"type"};
  }
  std::vector<std::string> fields;
  if (a.sha256 != b.sha256) {
    fields.emplace_back("content");
  }
  if (type_of(a) == FileType::Symlink && a.entry.link != b.entry.link) {
    fields.emplace_back("link");
  }
  if (a.entry.mode != b.entry.mode && type_of(a) != FileType::Symlink) {
    fields.emplace_back("mode");
  }
  if (a.entry.uid != b.entry.uid || a.entry.gid != b.entry.gid) {
    fields.emplace_back("owner");
  }
  return fields;
}

/// Adds up files by name.
class Parts {
 public:
  void add(const std::string& name, std::uint64_t bytes) {
    ImageDiff::Part& part = parts_.try_emplace(name, ImageDiff::Part{name, 0, 0}).first->second;
    ++part.files;
    part.bytes += bytes;
  }
  [[nodiscard]] std::vector<ImageDiff::Part> by_size() const {
    std::vector<ImageDiff::Part> list;
    for (const auto& [name, part] : parts_) {
      list.push_back(part);
    }
    std::ranges::stable_sort(list, [](const auto& x, const auto& y) { return x.bytes > y.bytes; });
    return list;
  }

 private:
  std::map<std::string, ImageDiff::Part> parts_;
};

/// By path: what is in one only, what differs.
void diff_paths(const Tree& a, const Tree& b, const std::map<Digest, std::string>& contents, ImageDiff& diff) {
  for (const auto& [path, file] : b.files) {
    const bool folder = file.entry.type == FileType::Directory;
    const TreeFile* before = a.find(path);
    const std::uint64_t size = size_of(b, file);
    if (before == nullptr && !folder) {
      const auto same = type_of(file) == FileType::Regular && size > 0 ? contents.find(file.sha256) : contents.end();
      diff.only_b.push_back({path, size, {}, same == contents.end() ? "" : same->second});
    } else if (before != nullptr && (!folder || before->entry.type != FileType::Directory)) {
      if (auto fields = changed_fields(*before, file); !fields.empty()) {
        diff.changed.push_back({path, size, std::move(fields), {}});
      }
    }
  }
  for (const auto& [path, file] : a.files) {
    if (b.find(path) == nullptr && file.entry.type != FileType::Directory) {
      diff.only_a.push_back({path, size_of(a, file), {}, {}});
    }
  }
}

/// By content, wherever it lies.
void diff_contents(const Tree& a, const Tree& b, const std::map<Digest, std::string>& contents, const Origins& origins,
                   const Subject& image_b, ImageDiff& diff) {
  std::set<Digest> contents_b;
  std::set<std::string> namesakes_a;
  std::set<std::string> namesakes_b;
  for (const Namesake& library : diff.libraries) {
    namesakes_a.insert(library.before.path);
    namesakes_b.insert(library.after.path);
  }
  Parts kept;
  Parts added;
  Parts lost;
  for (const auto& [path, file] : b.files) {
    if (type_of(file) != FileType::Regular) {
      continue;
    }
    const std::uint64_t size = size_of(b, file);
    diff.b.files += 1;
    diff.b.bytes += size;
    contents_b.insert(file.sha256);
    if (const auto same = contents.find(file.sha256); same != contents.end()) {
      const TreeFile* before = a.find(path);
      kept.add(origins.of(before != nullptr && before->sha256 == file.sha256 ? path : same->second), size);
      diff.kept_files += 1;
      diff.kept_bytes += size;
    } else if (!namesakes_b.contains(path)) {
      added.add("layer " + image_b.layer_name(file.layer), size);
      diff.new_files += 1;
      diff.new_bytes += size;
    }
  }
  for (const auto& [path, file] : a.files) {
    if (type_of(file) != FileType::Regular) {
      continue;
    }
    const std::uint64_t size = size_of(a, file);
    diff.a.files += 1;
    diff.a.bytes += size;
    if (!contents_b.contains(file.sha256) && !namesakes_a.contains(path)) {
      lost.add(origins.of(path), size);
      diff.lost_files += 1;
      diff.lost_bytes += size;
    }
  }
  diff.kept = kept.by_size();
  diff.added = added.by_size();
  diff.lost = lost.by_size();
}

/// The packages that namesakes are of. Of a model image's files only the layer says it, or the package of A's.
void name_packages(const Origins& a, const Origins& b, const Subject& image_b, const Tree& tree_b, ImageDiff& diff) {
  for (Namesake& library : diff.libraries) {
    library.before.package = a.of(library.before.path);
    library.after.package = b.of(library.after.path);
    if (!library.after.package.empty() || !image_b.model() || !image_b.lock()) {
      continue;
    }
    const std::vector<lock::Wheel>& wheels = image_b.lock()->wheels;
    if (image_b.layer_name(tree_b.files.at(library.after.path).layer) == "tensorflow" && !wheels.empty()) {
      library.after.package = format("python {} {}", wheels.front().name, wheels.front().version);
    } else {
      const std::string& before = library.before.package;
      library.after.package = b.with_version(before.substr(0, before.rfind(' ')));
    }
  }
}

}  // namespace

ImageDiff diff_images(const Subject& a, const Subject& b, const lock::Context& context) {
  ImageDiff diff;
  diff.same = a.digest() == b.digest();
  diff_config(a.config(), b.config(), diff);
  diff_layers(a, b, diff);
  const TreeOptions options{true, owners_read, {}};
  const Tree before = read_tree(a, options, context.events);
  const Tree other = diff.same ? Tree{} : read_tree(b, options, context.events);
  const Tree& after = diff.same ? before : other;
  const std::vector<Package> packages_a = packages_of(before);
  const std::vector<Package> packages_b = packages_of(after);
  diff_packages(packages_a, packages_b, diff);
  const Origins origins_a(before, packages_a);
  const Origins origins_b(after, packages_b);
  diff.libraries = namesakes(before, after);
  name_packages(origins_a, origins_b, b, after, diff);
  relate(diff.libraries, a, before, b, after, context);

  std::map<Digest, std::string> contents;
  for (const auto& [path, file] : before.files) {
    if (type_of(file) == FileType::Regular) {
      contents.emplace(file.sha256, path);
    }
  }
  diff_paths(before, after, contents, diff);
  diff_contents(before, after, contents, origins_a, b, diff);
  return diff;
}

}  // namespace slip::inspect
