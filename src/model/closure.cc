#include "model/closure.h"

#include <algorithm>
#include <array>
#include <filesystem>
#include <map>
#include <set>

#include "codec/elf.h"
#include "core/error.h"
#include "image/system.h"
#include "os/file.h"

namespace slip::model {
namespace {

namespace fs = std::filesystem;
using codec::FileType;
using codec::LayerItem;

constexpr std::array<const char*, 2> kFolders = {"usr/lib/x86_64-linux-gnu", "usr/lib"};

struct Shipped {
  const LayerItem* item;
  const deb::Unpacked* package;
};
using Files = std::map<std::string, Shipped>;

Files files_of(const std::vector<deb::Unpacked>& packages) {
  Files files;
  for (const deb::Unpacked& package : packages) {
    for (const LayerItem& item : package.items) {
      if (item.entry.type == FileType::Regular || item.entry.type == FileType::Symlink) {
        files.emplace(item.entry.path, Shipped{&item, &package});
      }
    }
  }
  return files;
}

/// A path without the release's own links: lib64/ld.so → usr/lib64/ld.so.
std::string merged(const std::string& path) {
  for (const std::string_view top : {"bin/", "sbin/", "lib/", "lib64/"}) {
    if (path.starts_with(top)) {
      return "usr/" + path;
    }
  }
  return path;
}

/// Where a link leads, within the root.
std::string target_of(const LayerItem& link) {
  const fs::path target = link.entry.link;
  const fs::path whole =
      target.is_absolute() ? target.relative_path() : fs::path(link.entry.path).parent_path() / target;
  return merged(whole.lexically_normal().string());
}

/// What an item needs; nothing when it is no ELF file.
codec::ElfNeeds needs_of(const LayerItem& item) {
  const auto* file = std::get_if<codec::FileContent>(&item.content);
  if (file == nullptr || item.entry.size < 64) {
    return {};
  }
  const os::Fd fd = os::open_read(file->path);
  const codec::ReadAt read = [&](std::uint64_t offset, std::span<std::uint8_t> into) {
    os::RangeSource source(fd.get(), offset, into.size(), item.entry.path);
    read_full(source, into);
  };
  std::array<std::uint8_t, 4> start{};
  read(0, start);
  return codec::is_elf(start) ? codec::read_elf(read, item.entry.size, item.entry.path) : codec::ElfNeeds{};
}

std::string leaf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

class Search {
 public:
  Search(const std::vector<LayerItem>& programs, const std::vector<deb::Unpacked>& packages)
      : files_(files_of(packages)) {
    for (const LayerItem& item : programs) {
      own_.insert(leaf(item.entry.path));
    }
    for (const LayerItem& item : programs) {
      follow(item);
    }
  }

  Closure take() const { return {{paths_.begin(), paths_.end()}, {packages_.begin(), packages_.end()}}; }

 private:
  void follow(const LayerItem& item) {
    const codec::ElfNeeds needs = needs_of(item);
    if (!needs.interpreter.empty()) {
      require(merged(needs.interpreter.substr(1)), needs.interpreter, item.entry.path);
    }
    for (const std::string& soname : needs.needed) {
      if (own_.contains(soname)) {
        continue;
      }
      std::string place;
      for (const char* folder : kFolders) {
        if (place.empty() && files_.contains(folder + ("/" + soname))) {
          place = folder + ("/" + soname);
        }
      }
      require(place, soname, item.entry.path);
    }
  }

  void require(const std::string& path, const std::string& what, const std::string& who) {
    const auto at = files_.find(path);
    if (at == files_.end()) {
      throw Error(ErrorKind::NotFound, "`{}` needs {}, which no package of the runtime lock ships", leaf(who), what)
          .add_hint("use the runtime lock that ships with this slipway: leave `--runtime` out");
    }
    if (!paths_.insert(path).second) {
      return;
    }
    packages_.insert(at->second.package->name());
    if (at->second.item->entry.type == FileType::Symlink) {
      require(target_of(*at->second.item), what, who);
    } else {
      follow(*at->second.item);
    }
  }

  Files files_;
  std::set<std::string> own_;
  std::set<std::string> paths_;
  std::set<std::string> packages_;
};

}  // namespace

Closure closure_of(const std::vector<LayerItem>& programs, const std::vector<deb::Unpacked>& packages) {
  return Search(programs, packages).take();
}

std::vector<std::string> with_targets(const std::string& path, const std::vector<deb::Unpacked>& packages) {
  const Files files = files_of(packages);
  std::vector<std::string> paths;
  std::string next = path;
  while (paths.size() < 16) {
    const auto at = files.find(next);
    if (at == files.end()) {
      break;
    }
    paths.push_back(next);
    if (at->second.item->entry.type != FileType::Symlink) {
      break;
    }
    next = target_of(*at->second.item);
  }
  return paths;
}

}  // namespace slip::model
