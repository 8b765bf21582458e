#pragma once

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "core/digest.h"
#include "deb/control.h"

namespace slip::deb {

/// A package of an index; the views live as long as the Index.
struct IndexEntry {
  std::string_view name, version, arch, path;
  std::string_view depends, pre_depends, provides, priority;
  std::size_t alias = 0;  ///< into Index::alias()
  std::uint64_t size = 0;
  Digest sha256;
  bool essential = false;
};

/// The packages of several suites, for amd64 and all.
class Index {
 public:
  Index() = default;
  Index(const Index&) = delete;
  Index& operator=(const Index&) = delete;
  /// Adds the text of one Packages file. `name` stands in messages. @throws Error Invalid
  void add(const std::string& alias, std::string text, const std::string& name);

  [[nodiscard]] const std::vector<IndexEntry>& entries() const noexcept { return entries_; }
  [[nodiscard]] const std::string& alias(std::size_t number) const { return aliases_[number]; }
  [[nodiscard]] const std::deque<std::string>& texts() const noexcept { return texts_; }
  /// All versions of a real package, in the order in which the suites were added.
  [[nodiscard]] const std::vector<const IndexEntry*>& versions(std::string_view name) const;
  /// The newest version that fits; nullptr when there is none.
  [[nodiscard]] const IndexEntry* newest(const Dependency& dependency) const;
  [[nodiscard]] const IndexEntry* find(std::string_view name, std::string_view version) const;
  /// Newest versions of packages whose Provides satisfy the dependency, in archive order.
  [[nodiscard]] std::vector<const IndexEntry*> providers(const Dependency& dependency) const;
  [[nodiscard]] std::vector<std::string> names() const;
  /// To be called once after the last add(): the tables point into the list.
  void finish();

 private:
  std::deque<std::string> texts_;
  std::vector<std::string> aliases_;
  std::vector<IndexEntry> entries_;
  std::unordered_map<std::string_view, std::vector<const IndexEntry*>> by_name_;
  struct Provided {
    const IndexEntry* by;
    std::string version;
  };
  std::unordered_map<std::string, std::vector<Provided>> provided_;
};

}  // namespace slip::deb
