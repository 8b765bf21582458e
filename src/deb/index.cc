#include "deb/index.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace slip::deb {
namespace {

std::string_view required(const Paragraph& paragraph, std::string_view field, const std::string& name) {
  const std::string_view value = paragraph.get(field);
  if (value.empty()) {
    throw Error(ErrorKind::Invalid, "{}:{}: a package without {}", name, paragraph.line(), field);
  }
  return value;
}

/// Pool paths become URLs and must stay below the mirror.
bool is_safe_path(std::string_view path) {
  if (path.starts_with('/') || path.size() > 1000) {
    return false;
  }
  for (const std::string_view part : split(path, '/')) {
    if (part.empty() || part == "." || part == "..") {
      return false;
    }
  }
  return std::all_of(path.begin(), path.end(),
                     [](char c) { return c > ' ' && c < 0x7f && c != '?' && c != '#' && c != '\\'; });
}

IndexEntry entry_of(const Paragraph& paragraph, const std::string& name) {
  const auto bad = [&](std::string_view field) {
    throw Error(ErrorKind::Invalid, "{}:{}: `{}` is no {}", name, paragraph.line(),
                printable(paragraph.get(field).substr(0, 200)), field);
  };
  IndexEntry entry;
  entry.name = required(paragraph, "Package", name);
  entry.version = required(paragraph, "Version", name);
  entry.path = required(paragraph, "Filename", name);
  entry.arch = required(paragraph, "Architecture", name);
  entry.depends = paragraph.get("Depends");
  entry.pre_depends = paragraph.get("Pre-Depends");
  entry.provides = paragraph.get("Provides");
  entry.priority = paragraph.get("Priority");
  entry.essential = paragraph.get("Essential") == "yes";
  if (!Version::parse(entry.version)) {
    bad("Version");
  }
  if (!is_safe_path(entry.path)) {
    bad("Filename");
  }
  const std::string_view size = required(paragraph, "Size", name);
  if (size.size() > 15 || size.find_first_not_of("0123456789") != std::string_view::npos) {
    bad("Size");
  }
  entry.size = std::stoull(std::string(size));
  const auto digest = Digest::parse(required(paragraph, "SHA256", name));
  if (!digest) {
    bad("SHA256");
  }
  entry.sha256 = *digest;
  return entry;
}

}  // namespace

void Index::add(const std::string& alias, std::string text, const std::string& name) {
  texts_.push_back(std::move(text));
  auto known = std::find(aliases_.begin(), aliases_.end(), alias);
  if (known == aliases_.end()) {
    known = aliases_.insert(aliases_.end(), alias);
  }
  const std::size_t number = static_cast<std::size_t>(known - aliases_.begin());
  ControlReader reader(texts_.back(), name);
  Paragraph paragraph;
  while (reader.next(paragraph)) {
    IndexEntry entry = entry_of(paragraph, name);
    entry.alias = number;
    if (entry.arch == "amd64" || entry.arch == "all") {
      entries_.push_back(entry);
    }
  }
}

void Index::finish() {
  for (const IndexEntry& entry : entries_) {
    by_name_[entry.name].push_back(&entry);
    if (entry.provides.empty()) {
      continue;
    }
    for (const std::vector<Dependency>& group : parse_dependencies(entry.provides)) {
      provided_[group.front().name].push_back({&entry, group.front().version});
    }
  }
}

const std::vector<const IndexEntry*>& Index::versions(std::string_view name) const {
  static const std::vector<const IndexEntry*> none;
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? none : found->second;
}

const IndexEntry* Index::newest(const Dependency& dependency) const {
  const IndexEntry* best = nullptr;
  for (const IndexEntry* entry : versions(dependency.name)) {
    if (satisfies(entry->version, dependency.relation, dependency.version) &&
        (best == nullptr || compare_versions(entry->version, best->version) > 0)) {
      best = entry;
    }
  }
  return best;
}

const IndexEntry* Index::find(std::string_view name, std::string_view version) const {
  for (const IndexEntry* entry : versions(name)) {
    if (entry->version == version) {
      return entry;
    }
  }
  return nullptr;
}

std::vector<const IndexEntry*> Index::providers(const Dependency& dependency) const {
  std::vector<const IndexEntry*> found;
  const auto provided = provided_.find(dependency.name);
  if (provided == provided_.end()) {
    return found;
  }
  for (const Provided& p : provided->second) {
    const bool fits = dependency.relation == Relation::Any ||
                      (!p.version.empty() && satisfies(p.version, dependency.relation, dependency.version));
    if (fits && newest({std::string(p.by->name), "", Relation::Any, ""}) == p.by) {
      found.push_back(p.by);
    }
  }
  return found;
}

std::vector<std::string> Index::names() const {
  std::vector<std::string> names;
  names.reserve(by_name_.size());
  for (const auto& [name, entries] : by_name_) {
    names.emplace_back(name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

}  // namespace slip::deb
