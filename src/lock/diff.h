#pragma once

#include <string>
#include <vector>

#include "lock/lock.h"

namespace slip::lock {

/// One package that differs between two locks.
struct Change {
  std::string kind;  ///< "deb", "wheel", "build tool", "tool", "setting"
  std::string name;
  std::string before;  ///< version, empty: was not there
  std::string after;   ///< version, empty: is gone
  bool operator==(const Change&) const = default;
};

/// Everything that changes from `before` to `after`, in the order deb, wheel, …, names sorted. The same version with
/// another file counts as a change ("1.0" → "1.0 (another file)").
std::vector<Change> diff(const Lock& before, const Lock& after);

/// A table for people: " + name 1.0", " - name 1.0", " ~ name 1.0 -> 1.1", grouped by kind.
std::string diff_table(const std::vector<Change>& changes);

}  // namespace slip::lock
