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

[[noreturn]] void overlap(const std::string& path, const Unpacked& first, const Unpacked& second) {
  Error error(ErrorKind::Conflict, "`/{}` is shipped by {} and {}", printable(path), first.name(), second.name());
  if (replaces(first, second) || replaces(second, first)) {
    const bool forward = replaces(second, first);
    error.add_cause(format("{} replaces files of {}, which slipway cannot do yet while both stay",
                           forward ? second.name() : first.name(), forward ? first.name() : second.name()));
  } else if (diverts(first, path) || diverts(second, path)) {
    error.add_cause(format("{} would divert the other's file, which slipway cannot do yet",
                           diverts(first, path) ? first.name() : second.name()));
  } else {
    error.add_cause("neither declares that it replaces or diverts the other's file");
  }
  error.add_hint(format("leave one of {} and {} out of `apt`", first.name(), second.name()));
  throw error;
}

}  // namespace

void check_overlaps(std::span<const Unpacked> packages) {
  struct Owner {
    const Unpacked* package;
    FileType type;
  };
  std::unordered_map<std::string_view, Owner> owners;
  for (const Unpacked& package : packages) {
    for (const codec::LayerItem& item : package.items) {
      const auto [known, fresh] = owners.emplace(item.entry.path, Owner{&package, item.entry.type});
      if (fresh || (known->second.type == FileType::Directory && item.entry.type == FileType::Directory)) {
        continue;
      }
      if (item.entry.path == "lib32" || item.entry.path == "libx32") {
        continue;  // the usr-merge link that every package with such a folder brings along
      }
      overlap(item.entry.path, *known->second.package, package);
    }
  }
}

}  // namespace slip::deb
