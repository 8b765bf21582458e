#include <algorithm>
#include <string>
#include <unordered_map>

#include "core/error.h"
#include "core/text.h"
#include "deb/control.h"
#include "deb/deb.h"

namespace slip::deb {
namespace {

using codec::FileType;

bool replaces(const Unpacked& package, const Unpacked& other) {
  for (const std::vector<Dependency>& group : parse_dependencies(package.field("Replaces"))) {
    const Dependency& target = group.front();
    if (target.name == other.name() && satisfies(other.field("Version"), target.relation, target.version)) {
      return true;
    }
  }
  return false;
}

bool diverts(const Unpacked& package, const std::string& path) {
  const std::string* preinst = package.control_file("preinst");
  return preinst != nullptr && preinst->find("dpkg-divert") != std::string::npos &&
         preinst->find(path.substr(path.rfind('/') + 1)) != std::string::npos;
}

[[noreturn]] void refuse(const std::string& path, const Unpacked& first, const Unpacked& second) {
  Error error(ErrorKind::Conflict, "`/{}` is shipped by {} and {}", printable(path), first.name(), second.name());
  error.add_cause("neither declares that it replaces or diverts the other's file");
  error.add_hint(format("leave one of {} and {} out of `apt`", first.name(), second.name()));
  throw error;
}

/// As dpkg leaves it: replaced, the path is the loser's no more; diverted, it stays in its list under its own name.
void take_away(Unpacked& loser, const Overlap& overlap) {
  std::erase_if(loser.items, [&](const codec::LayerItem& item) { return item.entry.path == overlap.path; });
  if (overlap.diverted) {
    return;
  }
  const auto is_it = [&](const std::string& shipped) {
    return shipped == "/" + overlap.path || "/usr" + shipped == "/" + overlap.path;
  };
  std::erase_if(loser.shipped, is_it);
  std::erase_if(loser.conffiles, [&](const auto& conffile) { return is_it(conffile.first); });
}

}  // namespace

std::vector<Overlap> settle_overlaps(std::span<Unpacked> packages) {
  struct Owner {
    std::size_t package;
    const codec::LayerItem* item;
  };
  std::unordered_map<std::string_view, Owner> owners;
  std::vector<Overlap> overlaps;
  for (std::size_t i = 0; i < packages.size(); ++i) {
    for (const codec::LayerItem& item : packages[i].items) {
      const auto [known, fresh] = owners.emplace(item.entry.path, Owner{i, &item});
      const bool folder = item.entry.type == FileType::Directory;
      const bool known_folder = known->second.item->entry.type == FileType::Directory;
      if (fresh || (folder && known_folder) || item.entry.path == "lib32" || item.entry.path == "libx32") {
        continue;  // the last two: the usr-merge link that every package with such a folder brings along
      }
      const Unpacked& first = packages[known->second.package];
      const Unpacked& second = packages[i];
      const bool replaced = replaces(second, first) || replaces(first, second);
      const bool diverted = !replaced && (diverts(second, item.entry.path) || diverts(first, item.entry.path));
      if (folder || known_folder || (!replaced && !diverted)) {
        refuse(item.entry.path, first, second);
      }
      const bool second_wins = replaced ? replaces(second, first) : diverts(second, item.entry.path);
      if (second_wins) {
        overlaps.push_back({item.entry.path, i, known->second.package, diverted, *known->second.item});
        known->second = {i, &item};
      } else {
        overlaps.push_back({item.entry.path, known->second.package, i, diverted, item});
      }
    }
  }
  for (const Overlap& overlap : overlaps) {
    take_away(packages[overlap.loser], overlap);
  }
  return overlaps;
}

}  // namespace slip::deb
