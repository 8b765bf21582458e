#include <algorithm>
#include <deque>
#include <map>
#include <set>

#include "deb/solve.h"

namespace slip::deb {
namespace {

int rank_of(std::string_view priority) {
  static const std::map<std::string_view, int> ranks = {
      {"required", 0}, {"important", 1}, {"standard", 2}, {"optional", 3}};
  const auto found = ranks.find(priority);
  return found == ranks.end() ? 4 : found->second;
}

/// apt prefers Essential providers, then those of higher priority, then those it met first.
const IndexEntry* best_provider(const std::vector<const IndexEntry*>& providers) {
  const auto better = [](const IndexEntry* a, const IndexEntry* b) {
    return std::pair(!a->essential, rank_of(a->priority)) < std::pair(!b->essential, rank_of(b->priority));
  };
  return *std::min_element(providers.begin(), providers.end(), better);
}

class Walk {
 public:
  explicit Walk(const Index& index) : index_(index) {}

  void choose(const IndexEntry* entry) {
    if (!chosen_.emplace(entry->name, entry).second) {
      return;
    }
    order_.push_back(entry);
    for (const std::vector<Dependency>& group : parse_dependencies(entry->provides)) {
      provided_[group.front().name].push_back(group.front().version);
    }
  }

  void close() {
    for (std::size_t next = 0; next < order_.size(); ++next) {
      const IndexEntry* entry = order_[next];
      for (const std::string_view field : {entry->pre_depends, entry->depends}) {
        for (const std::vector<Dependency>& group : parse_dependencies(field)) {
          satisfy(group);
        }
      }
    }
  }

  [[nodiscard]] const std::vector<const IndexEntry*>& order() const { return order_; }

 private:
  [[nodiscard]] bool holds(const Dependency& dependency) const {
    if (const auto found = chosen_.find(dependency.name);
        found != chosen_.end() && satisfies(found->second->version, dependency.relation, dependency.version)) {
      return true;
    }
    const auto found = provided_.find(dependency.name);
    return found != provided_.end() &&
           std::any_of(found->second.begin(), found->second.end(), [&](const std::string& version) {
             return dependency.relation == Relation::Any ||
                    (!version.empty() && satisfies(version, dependency.relation, dependency.version));
           });
  }

  void satisfy(const std::vector<Dependency>& group) {
    if (std::any_of(group.begin(), group.end(), [&](const Dependency& d) { return holds(d); })) {
      return;
    }
    for (const Dependency& alternative : group) {
      if (const IndexEntry* real = index_.newest(alternative)) {
        choose(real);
        return;
      }
      if (const auto providers = index_.providers(alternative); !providers.empty()) {
        choose(best_provider(providers));
        return;
      }
    }
  }

  const Index& index_;
  std::map<std::string_view, const IndexEntry*> chosen_;
  std::map<std::string, std::vector<std::string>, std::less<>> provided_;
  std::vector<const IndexEntry*> order_;
};

}  // namespace

std::vector<const IndexEntry*> apt_like_choices(const Index& index, const std::vector<const IndexEntry*>& roots) {
  Walk walk(index);
  for (const IndexEntry* root : roots) {
    walk.choose(root);
  }
  walk.close();
  return walk.order();
}

}  // namespace slip::deb
