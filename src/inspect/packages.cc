#include "inspect/packages.h"

#include <algorithm>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "deb/control.h"
#include "wheel/name.h"

namespace slip::inspect {
namespace {

constexpr std::string_view kInfo = "var/lib/dpkg/info/";
constexpr std::string_view kStatusFolder = "var/lib/dpkg/status.d/";
bool is_status(const std::string& path) {
  return path == "var/lib/dpkg/status" ||
         (path.starts_with(kStatusFolder) && path.find('.', kStatusFolder.size()) == std::string::npos);
}

/// Folder of an installed package's dist-info file: ".../site-packages/numpy-1.26.4.dist-info"; empty for other paths,
/// for what packages vendor, and for Debian's own Python packages, which belong to dpkg.
std::string dist_info_of(const std::string& path, std::string_view file) {
  const std::size_t slash = path.rfind('/');
  if (slash == std::string::npos || std::string_view(path).substr(slash + 1) != file) {
    return {};
  }
  std::string folder = path.substr(0, slash);
  const std::string parent = folder.substr(0, folder.rfind('/'));
  const bool installed = (parent.ends_with("/site-packages") || parent.ends_with("/dist-packages")) &&
                         parent != "usr/lib/python3/dist-packages";
  return folder.ends_with(".dist-info") && installed ? folder : std::string();
}

std::string_view header(std::string_view metadata, std::string_view name) {
  for (const std::string_view line : split(metadata, '\n')) {
    if (trim(line).empty()) {
      break;
    }
    if (line.starts_with(name) && line.substr(name.size()).starts_with(": ")) {
      return trim(line.substr(name.size() + 2));
    }
  }
  return {};
}

/// "non-free/libs" → "non-free"; a section without a component is one of main.
std::string component_of(std::string_view section) {
  const std::size_t slash = section.find('/');
  return slash == std::string_view::npos ? "main" : std::string(section.substr(0, slash));
}

void add_debs(const Tree& tree, std::vector<Package>& packages) {
  for (const auto& [path, file] : tree.files) {
    if (!is_status(path) || file.text.empty()) {
      continue;
    }
    deb::ControlReader reader(file.text, "/" + path);
    deb::Paragraph paragraph;
    while (reader.next(paragraph)) {
      if (paragraph.has("Status") && paragraph.get("Status").find(" installed") == std::string_view::npos) {
        continue;
      }
      Package package{"deb",
                      std::string(paragraph.get("Package")),
                      std::string(paragraph.get("Version")),
                      std::string(paragraph.get("Architecture")),
                      std::string(paragraph.get("Source")),
                      {}};
      package.source = package.source.substr(0, package.source.find(' '));
      if (package.source.empty()) {
        package.source = package.name;
      }
      package.component = component_of(paragraph.get("Section"));
      if (!package.name.empty()) {
        packages.push_back(std::move(package));
      }
    }
  }
}

void add_wheels(const Tree& tree, std::vector<Package>& packages) {
  for (const auto& [path, file] : tree.files) {
    if (dist_info_of(path, "METADATA").empty() || file.text.empty()) {
      continue;
    }
    const std::string_view name = header(file.text, "Name");
    if (!name.empty()) {
      packages.push_back({"python",
                          wheel::normalise(name),
                          std::string(header(file.text, "Version")),
                          {},
                          {},
                          std::string(header(file.text, "License")).substr(0, 200)});
    }
  }
}

/// First field of a RECORD line, which may be quoted.
std::string record_path(std::string_view line) {
  if (line.starts_with('"')) {
    return std::string(line.substr(1, line.find('"', 1) - 1));
  }
  return std::string(line.substr(0, line.find(',')));
}

/// "opt/venv/lib/python3.9/site-packages" and "../../../bin/jupyter" → "opt/venv/bin/jupyter".
std::string joined_path(std::string_view folder, std::string_view relative) {
  std::vector<std::string> parts;
  if (!relative.starts_with('/')) {
    for (const std::string_view part : split(folder, '/')) {
      parts.emplace_back(part);
    }
  }
  for (const std::string_view part : split(relative, '/')) {
    if (part == ".." && !parts.empty()) {
      parts.pop_back();
    } else if (!part.empty() && part != ".") {
      parts.emplace_back(part);
    }
  }
  return join(parts, "/");
}

/// A name where dpkg records it and where it lies since the usr-merge.
std::vector<std::string> places_of(std::string_view listed) {
  std::string path(listed.substr(listed.starts_with('/') ? 1 : 0));
  std::vector<std::string> places = {path};
  for (const std::string_view top : {"bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/"}) {
    if (path.starts_with(top)) {
      places.push_back("usr/" + path);
    }
  }
  return places;
}

}  // namespace

bool owners_read(const codec::TarEntry& entry) {
  const std::string& p = entry.path;
  return is_status(p) || (p.starts_with(kInfo) && p.ends_with(".list")) || !dist_info_of(p, "METADATA").empty() ||
         !dist_info_of(p, "RECORD").empty();
}

std::vector<Package> packages_of(const Tree& tree) {
  std::vector<Package> packages;
  add_debs(tree, packages);
  add_wheels(tree, packages);
  std::ranges::sort(packages);
  packages.erase(std::unique(packages.begin(), packages.end()), packages.end());
  return packages;
}

Owners::Owners(const Tree& tree) {
  for (const auto& [path, file] : tree.files) {
    if (path.starts_with(kInfo) && path.ends_with(".list")) {
      std::string name = path.substr(kInfo.size(), path.size() - kInfo.size() - 5);
      name = "deb " + name.substr(0, name.find(':'));
      for (const std::string_view line : split(file.text, '\n')) {
        for (std::string& place : places_of(line)) {
          const TreeFile* there = tree.find(place);
          if (there != nullptr && there->entry.type != codec::FileType::Directory) {
            by_path_.emplace(std::move(place), name);
          }
        }
      }
    } else if (const std::string folder = dist_info_of(path, "RECORD"); !folder.empty()) {
      const std::string base = folder.substr(0, folder.rfind('/'));
      const std::string stem = folder.substr(folder.rfind('/') + 1);
      const std::string owner = "python " + wheel::normalise(stem.substr(0, stem.find('-')));
      for (const std::string_view line : split(file.text, '\n')) {
        if (!trim(line).empty()) {
          by_path_.emplace(joined_path(base, record_path(trim(line))), owner);
        }
      }
    }
  }
}

std::string Owners::of(const std::string& path) const {
  if (const auto at = by_path_.find(path); at != by_path_.end()) {
    return at->second;
  }
  // Byte code stands in no RECORD of ours: it belongs to its source.
  const std::size_t cache = path.rfind("/__pycache__/");
  if (cache != std::string::npos) {
    const std::string name = path.substr(cache + 13);
    const auto source = by_path_.find(path.substr(0, cache + 1) + name.substr(0, name.find('.')) + ".py");
    if (source != by_path_.end()) {
      return source->second;
    }
  }
  return {};
}

}  // namespace slip::inspect
