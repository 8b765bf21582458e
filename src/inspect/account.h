#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "core/events.h"
#include "inspect/packages.h"
#include "inspect/subject.h"
#include "inspect/tree.h"

/// What every part of an image is there for, and what it costs.
namespace slip::inspect {

struct LayerCost {
  std::string name, kind;
  Digest digest;
  std::uint64_t size = 0;      ///< compressed bytes
  std::uint64_t unpacked = 0;  ///< bytes of its files
  std::size_t files = 0;       ///< paths it brings, folders not counted
  std::size_t packages = 0;
};

/// What one layer holds of an item: a package's files may be written anew by a later layer.
struct ItemPart {
  std::uint64_t unpacked = 0;
  std::uint64_t packed = 0;
};

/// A package, or what a layer holds besides packages.
struct Item {
  std::string kind;     ///< "deb", "python", or "layer" for the rest of one
  std::string name;     ///< of the package or layer
  std::string version;  ///< of the package
  std::size_t layer = 0;
  std::string file;            ///< locked artefact: "bash_5.2.15-2+b8_amd64.deb"; empty without a lock
  Digest sha256;               ///< of the artefact
  std::uint64_t download = 0;  ///< bytes of the artefact
  std::uint64_t unpacked = 0;  ///< bytes of its files
  std::uint64_t packed = 0;    ///< its share of the layer's compressed bytes, by size: an estimate
  std::size_t files = 0;
  std::map<std::size_t, ItemPart> parts;  ///< by layer; they add up to the two sizes
  /// From the package to the line of the spec that asked for it: "needed by pandas 1.5.3", "slipway.yaml:5:5
  /// `pandas==1.5.3`". Never empty.
  std::vector<std::string> because;
  std::vector<std::string> brings;  ///< names of packages that are there because of this one
};

struct FileAccount {
  std::string path;
  std::uint64_t size = 0;
  std::uint64_t packed = 0;  ///< estimate
  Digest sha256;             ///< of the content; empty for links and folders
  std::string type;          ///< "file", "link", "folder", "hard link", "device"
  std::string link;
  std::size_t layer = 0;
  std::size_t item = 0;  ///< into Account::items()
  std::string because;   ///< what made it, where no package did: "the run step `…`"
};

class Account {
 public:
  /// Reads every layer once. @param project  the spec with places, when it is the one the image was made from
  Account(const Subject& subject, const spec::Spec* project, Events& events);

  [[nodiscard]] const std::vector<LayerCost>& layers() const noexcept { return layers_; }
  /// Largest first.
  [[nodiscard]] const std::vector<Item>& items() const noexcept { return items_; }
  /// The package called so ("numpy"; "deb:python3" or "python:six" where both ecosystems have it).
  /// @throws Error NotFound with the nearest name
  [[nodiscard]] const Item& package(const std::string& name) const;
  /// The file at an absolute path; links on the way are followed, at the end not. @throws Error NotFound
  [[nodiscard]] FileAccount file(const std::string& path) const;
  /// The largest files of an item.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> largest(const Item& item, std::size_t count) const;

 private:
  void add_layers(const Subject& subject);
  void add_items(const Subject& subject, const spec::Spec* project);
  void describe(Item& item, const Subject& subject, const spec::Spec* project) const;
  [[nodiscard]] std::size_t item_of(const std::string& path, const TreeFile& file) const;

  Tree tree_;
  Owners owners_;
  std::vector<LayerCost> layers_;
  std::vector<Item> items_;
  std::map<std::string, std::size_t> by_owner_;              ///< "deb bash" or "layer files" → item
  std::vector<std::string> made_by_;                         ///< by layer: what made its files, in words
  std::vector<std::pair<std::string, std::string>> mapped_;  ///< target of `files:` → the line that says so
};

/// A page of its own: a treemap of the image by layer and package, with a table; light and dark, no script from
/// elsewhere.
std::string treemap_page(const Account& account, const std::string& image, const Digest& digest);

}  // namespace slip::inspect
