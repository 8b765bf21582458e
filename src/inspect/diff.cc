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
    }
  }
}

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

}  // namespace

void diff_trees(const Tree& a, const Tree& b, ImageDiff& diff) {
  std::map<Digest, std::string> content_a;
  std::set<Digest> content_b;
  for (const auto& [path, file] : a.files) {
    if (type_of(file) == FileType::Regular) {
      content_a.emplace(file.sha256, path);
    }
  }
  for (const auto& [path, file] : b.files) {
    const bool folder = file.entry.type == FileType::Directory;
    const TreeFile* before = a.find(path);
    const std::uint64_t size = size_of(b, file);
    if (type_of(file) == FileType::Regular) {
      content_b.insert(file.sha256);
      const bool kept = content_a.contains(file.sha256);
      (kept ? diff.kept_files : diff.new_files) += 1;
      (kept ? diff.kept_bytes : diff.new_bytes) += size;
    }
    if (before == nullptr || (folder && before->entry.type == FileType::Directory)) {
      if (before == nullptr && !folder) {
        const auto same =
            type_of(file) == FileType::Regular && size > 0 ? content_a.find(file.sha256) : content_a.end();
        diff.only_b.push_back({path, size, {}, same == content_a.end() ? "" : same->second});
      }
    } else if (auto fields = changed_fields(*before, file); !fields.empty()) {
      diff.changed.push_back({path, size, std::move(fields), {}});
    }
  }
  for (const auto& [path, file] : a.files) {
    const std::uint64_t size = size_of(a, file);
    if (b.find(path) == nullptr && file.entry.type != FileType::Directory) {
      diff.only_a.push_back({path, size, {}, {}});
    }
    if (type_of(file) == FileType::Regular && !content_b.contains(file.sha256)) {
      diff.lost_files += 1;
      diff.lost_bytes += size;
    }
  }
  diff_packages(packages_of(a), packages_of(b), diff);
}

ImageDiff diff_images(const Subject& a, const Subject& b, Events& events) {
  ImageDiff diff;
  diff.same = a.digest() == b.digest();
  diff_config(a.config(), b.config(), diff);
  diff_layers(a, b, diff);
  const TreeOptions options{true, owners_read, {}};
  const Tree before = read_tree(a, options, events);
  diff_trees(before, diff.same ? before : read_tree(b, options, events), diff);
  return diff;
}

}  // namespace slip::inspect
