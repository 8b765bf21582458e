#include "lock/diff.h"

#include <map>
#include <set>

#include "core/format.h"

namespace slip::lock {
namespace {

struct Seen {
  std::string version;
  Digest sha256;
};

template <class Package>
std::map<std::string, Seen> by_name(const std::vector<Package>& packages) {
  std::map<std::string, Seen> seen;
  for (const Package& p : packages) {
    seen[p.name] = {p.version, p.artifact.sha256};
  }
  return seen;
}

template <class Package>
void compare(const char* kind, const std::vector<Package>& before, const std::vector<Package>& after,
             std::vector<Change>& out) {
  const auto old_ones = by_name(before);
  const auto new_ones = by_name(after);
  std::set<std::string> names;
  for (const auto& [name, seen] : old_ones) {
    names.insert(name);
  }
  for (const auto& [name, seen] : new_ones) {
    names.insert(name);
  }
  for (const std::string& name : names) {
    const auto was = old_ones.find(name);
    const auto is = new_ones.find(name);
    if (was == old_ones.end()) {
      out.push_back({kind, name, "", is->second.version});
    } else if (is == new_ones.end()) {
      out.push_back({kind, name, was->second.version, ""});
    } else if (was->second.version != is->second.version) {
      out.push_back({kind, name, was->second.version, is->second.version});
    } else if (was->second.sha256 != is->second.sha256) {
      out.push_back({kind, name, was->second.version, is->second.version + " (another file)"});
    }
  }
}

void compare_setting(const char* name, const std::string& before, const std::string& after, std::vector<Change>& out) {
  if (before != after) {
    out.push_back({"setting", name, before, after});
  }
}

}  // namespace

std::vector<Change> diff(const Lock& before, const Lock& after) {
  std::vector<Change> changes;
  compare_setting("suite", before.suite, after.suite, changes);
  compare_setting("snapshot", before.snapshot, after.snapshot, changes);
  compare_setting("python", before.python, after.python, changes);
  compare_setting("exclude-newer", before.exclude_newer, after.exclude_newer, changes);
  compare_setting("encoder", before.encoder, after.encoder, changes);
  compare_setting("slipway-init", before.init.brief(), after.init.brief(), changes);
  compare("deb", before.debs, after.debs, changes);
  compare("wheel", before.wheels, after.wheels, changes);
  compare("build tool", before.build_tools, after.build_tools, changes);
  compare("tool", before.tools, after.tools, changes);
  return changes;
}

std::string diff_table(const std::vector<Change>& changes) {
  std::string text;
  std::string kind;
  for (const Change& change : changes) {
    if (change.kind != kind) {
      kind = change.kind;
      text += kind + "\n";
    }
    if (change.before.empty()) {
      text += format(" + {} {}\n", change.name, change.after);
    } else if (change.after.empty()) {
      text += format(" - {} {}\n", change.name, change.before);
    } else {
      text += format(" ~ {} {} -> {}\n", change.name, change.before, change.after);
    }
  }
  return text;
}

}  // namespace slip::lock
