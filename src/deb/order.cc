#include "deb/order.h"

#include <algorithm>
#include <map>
#include <string>

#include "deb/control.h"

namespace slip::deb {
namespace {

class Graph {
 public:
  explicit Graph(std::span<const Unpacked> packages)
      : depends_(packages.size()), pre_(packages.size()), seen_(packages.size()) {
    for (std::size_t i = 0; i < packages.size(); ++i) {
      std::vector<std::size_t>& same = by_name_[packages[i].name()];
      same.insert(same.begin(), i);  // the real package comes before its providers
      for (const std::vector<Dependency>& group : parse_dependencies(packages[i].field("Provides"))) {
        by_name_[group.front().name].push_back(i);
      }
    }
    for (std::size_t i = 0; i < packages.size(); ++i) {
      pre_[i] = targets(packages[i].field("Pre-Depends"), i);
      depends_[i] = pre_[i];
      const std::vector<std::size_t> more = targets(packages[i].field("Depends"), i);
      depends_[i].insert(depends_[i].end(), more.begin(), more.end());
    }
  }

  /// Depth-first: what a package needs, then itself. A cycle is cut where the walk meets it again.
  void visit(std::size_t package, std::vector<std::size_t>& order) {
    if (seen_[package]) {
      return;
    }
    seen_[package] = true;
    for (const std::size_t needed : depends_[package]) {
      visit(needed, order);
    }
    order.push_back(package);
  }

  [[nodiscard]] const std::vector<std::vector<std::size_t>>& pre_depends() const { return pre_; }

 private:
  /// The packages of our set that satisfy the groups of a field; a real package before providers.
  [[nodiscard]] std::vector<std::size_t> targets(const std::string& field, std::size_t self) const {
    std::vector<std::size_t> found;
    for (const std::vector<Dependency>& group : parse_dependencies(field)) {
      for (const Dependency& alternative : group) {
        const auto known = by_name_.find(alternative.name);
        if (known != by_name_.end()) {
          for (const std::size_t i : known->second) {
            if (i != self) {
              found.push_back(i);
            }
          }
          break;
        }
      }
    }
    return found;
  }

  std::map<std::string, std::vector<std::size_t>> by_name_;
  std::vector<std::vector<std::size_t>> depends_;
  std::vector<std::vector<std::size_t>> pre_;
  std::vector<bool> seen_;
};

}  // namespace

ConfigureOrder configure_order(std::span<const Unpacked> packages) {
  std::vector<std::size_t> by_name(packages.size());
  for (std::size_t i = 0; i < by_name.size(); ++i) {
    by_name[i] = i;
  }
  std::sort(by_name.begin(), by_name.end(),
            [&](std::size_t a, std::size_t b) { return packages[a].name() < packages[b].name(); });
  Graph graph(packages);
  ConfigureOrder order;
  for (const std::size_t i : by_name) {
    if (packages[i].field("Essential") == "yes") {
      graph.visit(i, order.essential);
    }
  }
  for (const std::size_t i : by_name) {
    graph.visit(i, order.rest);
  }
  order.pre_depends = graph.pre_depends();
  return order;
}

}  // namespace slip::deb
