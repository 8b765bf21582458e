#pragma once

#include <map>
#include <string>
#include <vector>

#include "inspect/tree.h"

/// Which packages an image's tree holds, by its own records: dpkg's database and the dist-info folders of Python.
namespace slip::inspect {

struct Package {
  std::string kind;  ///< "deb" or "python"
  std::string name;  ///< "libc6"; Python's normalised
  std::string version;
  std::string arch;            ///< of a deb
  std::string source;          ///< of a deb: the source package
  std::string license;         ///< of a Python package, as its METADATA says; may be empty
  std::string component = {};  ///< of a deb: "main", "non-free"
  auto operator<=>(const Package&) const = default;
};

/// Sorted by kind, then name. The tree must have kept what owners_read() names.
std::vector<Package> packages_of(const Tree& tree);

/// Which package a path belongs to.
class Owners {
 public:
  /// The tree must have kept what owners_read() names.
  explicit Owners(const Tree& tree);
  /// "deb bash", "python numpy"; empty: no package's.
  [[nodiscard]] std::string of(const std::string& path) const;

 private:
  std::map<std::string, std::string> by_path_;
};

/// Files whose content packages_of() and Owners need: status, info/*.list, METADATA, RECORD.
bool owners_read(const codec::TarEntry& entry);

}  // namespace slip::inspect
