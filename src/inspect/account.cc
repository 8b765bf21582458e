#include "inspect/account.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "wheel/name.h"

namespace slip::inspect {
namespace {

using codec::FileType;

Tree read_hashed(const Subject& subject, Events& events) {
  return read_tree(subject, TreeOptions{true, owners_read, {}}, events);
}

std::uint64_t share(std::uint64_t part, std::uint64_t whole, std::uint64_t packed) {
  return whole == 0 ? 0
                    : static_cast<std::uint64_t>(static_cast<double>(packed) *
                                                 (static_cast<double>(part) / static_cast<double>(whole)));
}

std::string at_place(const spec::Place& place, const std::string& key, const std::string& text) {
  return place.line > 0 ? format("{}:{}:{} `{}`", place.file, place.line, place.column, text)
                        : format("`{}: {}` of the spec", key, text);
}

/// "debian" of a package that a lock names: who asked for it, until a line of the spec or slipway itself.
std::vector<std::string> reasons(const std::string& kind, const std::string& name, const lock::Lock& lock,
                                 const spec::Spec& spec) {
  std::vector<std::string> chain;
  std::string at = name;
  std::set<std::string> seen;
  while (seen.insert(at).second) {
    std::string why;
    if (kind == "deb") {
      const auto deb = std::ranges::find(lock.debs, at, &lock::Deb::name);
      why = deb == lock.debs.end() ? std::string() : deb->why;
    } else {
      const auto w = std::ranges::find(lock.wheels, at, &lock::Wheel::name);
      why = w == lock.wheels.end() ? std::string() : w->why;
    }
    constexpr std::string_view kNeeded = "needed by ";
    if (why.starts_with(kNeeded)) {
      chain.push_back(why);
      at = why.substr(kNeeded.size());
      continue;
    }
    if (why == "apt") {
      for (const spec::AptRequest& apt : spec.apt) {
        if (apt.text.substr(0, apt.text.find('=')) == at) {
          why = at_place(apt.place, "apt", apt.text);
        }
      }
    } else if (why == "requirement") {
      for (const spec::Requirement& r : spec.requirements) {
        if (wheel::normalise(wheel::requirement_name(r.text)) == at) {
          why = at_place(r.place, "requirements", r.text);
        }
      }
    } else if (why == "base") {
      why = kind == "deb" ? "part of every image" : "part of every image with Python packages";
    } else if (why == lock::kGpu) {
      why = "`gpu: …` of the spec";
    } else if (why.starts_with("service ")) {
      why = format("`services: {{{}: …}}` of the spec", why.substr(8));
    }
    chain.push_back(why.empty() ? "the lock does not say" : why);
    break;
  }
  return chain;
}

/// What made the files of a layer that no package owns.
std::string maker_of(const std::string& kind, const std::string& name, const spec::Spec* spec) {
  if (kind == "configure") {
    return "the packages' own maintainer scripts";
  }
  if (kind == "system") {
    return "slipway: the workspace user, its home, the virtual environment, links to the libraries of wheels";
  }
  if (kind == "nbextensions") {
    return "`services: {jupyter: {nbextensions: …}}` of the spec";
  }
  if (kind == "init") {
    return "slipway: the process manager of every image";
  }
  if (kind == "texts") {
    return name == "lock" ? "slipway: the lock, so that the image explains itself"
                          : "slipway: what starts the services, and their settings";
  }
  if (kind == "files") {
    return "`files:` of the spec";
  }
  if (kind == "run" && spec != nullptr) {
    for (std::size_t i = 0; i < spec->run.size(); ++i) {
      if (name == format("run-{}", i + 1)) {
        return at_place(spec->run[i].place, "run", spec->run[i].command);
      }
    }
  }
  if (kind == "wheels") {
    return "installing the layer's Python packages";
  }
  return kind == "debs" ? "the root's skeleton" : "the image's builder does not say";
}

std::string type_name(FileType type) {
  switch (type) {
    case FileType::Regular: return "file";
    case FileType::HardLink: return "hard link";
    case FileType::Symlink: return "link";
    case FileType::Directory: return "folder";
    case FileType::Fifo: return "pipe";
    case FileType::CharDevice:
    case FileType::BlockDevice: return "device";
  }
  return {};
}

std::string file_name(const std::string& path) { return path.substr(path.rfind('/') + 1); }

}  // namespace

Account::Account(const Subject& subject, const spec::Spec* project, Events& events)
    : tree_(read_hashed(subject, events)), owners_(tree_) {
  const spec::Spec* spec = project != nullptr ? project : subject.spec() ? &*subject.spec() : nullptr;
  add_layers(subject);
  for (std::size_t layer = 0; layer < subject.layers(); ++layer) {
    made_by_.push_back(maker_of(subject.layer_kind(layer), subject.layer_name(layer), spec));
  }
  for (const spec::FileMapping& mapping : spec != nullptr ? spec->files : std::vector<spec::FileMapping>()) {
    mapped_.emplace_back(mapping.target, at_place(mapping.place, "files", mapping.source + ": " + mapping.target));
  }
  add_items(subject, spec);
}

void Account::add_layers(const Subject& subject) {
  for (std::size_t i = 0; i < subject.layers(); ++i) {
    const oci::Descriptor& blob = subject.manifest().layers[i];
    layers_.push_back({subject.layer_name(i), subject.layer_kind(i), blob.digest, blob.size, 0, 0, 0});
  }
  for (const auto& [path, file] : tree_.files) {
    if (file.entry.type != FileType::Directory) {
      layers_[file.layer].unpacked += file.entry.size;
      layers_[file.layer].files += 1;
    }
  }
}

void Account::add_items(const Subject& subject, const spec::Spec* spec) {
  std::map<std::string, Item> items;
  for (const Package& package : packages_of(tree_)) {
    Item item;
    item.kind = package.kind;
    item.name = package.name;
    item.version = package.version;
    item.layer = layers_.size();
    items[package.kind + " " + package.name] = std::move(item);
  }
  for (const auto& [path, file] : tree_.files) {
    if (file.entry.type == FileType::Directory) {
      continue;
    }
    std::string owner = owners_.of(path);
    if (!items.contains(owner)) {
      owner = "layer " + layers_[file.layer].name;
    }
    Item& item = items[owner];
    if (item.kind.empty()) {
      item.kind = "layer";
      item.name = layers_[file.layer].name;
      item.layer = layers_.size();
    }
    item.layer = std::min(item.layer, file.layer);
    const std::uint64_t packed = share(file.entry.size, layers_[file.layer].unpacked, layers_[file.layer].size);
    item.unpacked += file.entry.size;
    item.packed += packed;
    ItemPart& part = item.parts[file.layer];
    part.unpacked += file.entry.size;
    part.packed += packed;
    item.files += 1;
  }
  for (auto& [owner, item] : items) {
    item.layer = item.layer == layers_.size() ? 0 : item.layer;
    layers_[item.layer].packages += item.kind == "layer" ? 0 : 1;
    describe(item, subject, spec);
    items_.push_back(std::move(item));
  }
  std::ranges::stable_sort(items_, std::greater<>(), &Item::unpacked);
  for (std::size_t i = 0; i < items_.size(); ++i) {
    by_owner_[items_[i].kind + " " + items_[i].name] = i;
  }
}

void Account::describe(Item& item, const Subject& subject, const spec::Spec* spec) const {
  if (item.kind == "layer") {
    item.because = {made_by_[item.layer]};
    return;
  }
  if (!subject.lock() || spec == nullptr) {
    item.because = {"the image carries no lock that would say"};
    return;
  }
  const lock::Lock& lock = *subject.lock();
  const auto take = [&](const auto& packages) {
    const auto at = std::ranges::find(packages, item.name, [](const auto& p) { return p.name; });
    if (at != packages.end()) {
      item.file = file_name(at->artifact.file);
      item.sha256 = at->artifact.sha256;
      item.download = at->artifact.size;
      item.layer = subject.find_layer(at->layer).value_or(item.layer);
    }
    for (const auto& other : packages) {
      if (other.why == "needed by " + item.name) {
        item.brings.push_back(other.name);
      }
    }
  };
  item.kind == "deb" ? take(lock.debs) : take(lock.wheels);
  item.because = reasons(item.kind, item.name, lock, *spec);
}

const Item& Account::package(const std::string& name) const {
  const std::size_t colon = name.find(':');
  std::vector<std::string> known;
  for (const Item& item : items_) {
    if (item.kind == "layer") {
      continue;
    }
    known.push_back(item.name);
    const bool same = colon == std::string::npos
                          ? item.name == name || (item.kind == "python" && item.name == wheel::normalise(name))
                          : item.kind == name.substr(0, colon) && item.name == name.substr(colon + 1);
    if (same) {
      return item;
    }
  }
  Error error(ErrorKind::NotFound, "the image has no package `{}`", printable(name));
  if (const auto near = nearest(name, known)) {
    error.add_hint(format("did you mean `{}`?", *near));
  } else {
    error.add_hint("a path begins with `/`");
  }
  throw error;
}

std::size_t Account::item_of(const std::string& path, const TreeFile& file) const {
  const auto owned = by_owner_.find(owners_.of(path));
  if (owned != by_owner_.end()) {
    return owned->second;
  }
  const auto layer = by_owner_.find("layer " + layers_[file.layer].name);
  return layer == by_owner_.end() ? items_.size() : layer->second;
}

FileAccount Account::file(const std::string& path) const {
  // Folders on the way may be links: /bin, /lib.
  std::string at;
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == ".") {
      continue;
    }
    if (const TreeFile* folder = tree_.find(at); folder != nullptr && folder->entry.type == FileType::Symlink) {
      const std::string& link = folder->entry.link;
      const std::size_t slash = at.rfind('/');
      at =
          link.starts_with('/') ? link.substr(1) : (slash == std::string::npos ? link : at.substr(0, slash + 1) + link);
    }
    at += (at.empty() ? "" : "/") + std::string(part);
  }
  const TreeFile* found = tree_.find(at);
  if (found == nullptr) {
    std::vector<std::string> siblings;
    const std::string folder = at.substr(0, at.rfind('/') + 1);
    for (auto next = tree_.files.lower_bound(folder); next != tree_.files.end() && next->first.starts_with(folder);
         ++next) {
      siblings.push_back(next->first);
    }
    Error error(ErrorKind::NotFound, "the image has no `/{}`", printable(at));
    if (const auto near = nearest(at, siblings)) {
      error.add_hint(format("did you mean `/{}`?", printable(*near)));
    }
    throw error;
  }
  FileAccount account;
  account.path = "/" + at;
  account.size = found->entry.size;
  account.layer = found->layer;
  account.packed = share(account.size, layers_[found->layer].unpacked, layers_[found->layer].size);
  account.sha256 = found->sha256;
  account.type = type_name(found->entry.type);
  account.link = found->entry.link;
  account.item = item_of(at, *found);
  account.because = made_by_[found->layer];
  std::size_t longest = 0;
  for (const auto& [target, because] : mapped_) {
    const bool below = account.path == target || account.path.starts_with(target + "/");
    if (layers_[found->layer].kind == "files" && below && target.size() > longest) {
      longest = target.size();
      account.because = because;
    }
  }
  return account;
}

std::vector<std::pair<std::string, std::uint64_t>> Account::largest(const Item& item, std::size_t count) const {
  std::vector<std::pair<std::string, std::uint64_t>> files;
  for (const auto& [path, file] : tree_.files) {
    if (file.entry.type == FileType::Regular && file.entry.size > 0) {
      const std::size_t at = item_of(path, file);
      if (at < items_.size() && &items_[at] == &item) {
        files.emplace_back("/" + path, file.entry.size);
      }
    }
  }
  const std::size_t kept = std::min(count, files.size());
  std::partial_sort(files.begin(), files.begin() + static_cast<std::ptrdiff_t>(kept), files.end(),
                    [](const auto& a, const auto& b) { return a.second > b.second; });
  files.resize(kept);
  return files;
}

}  // namespace slip::inspect
