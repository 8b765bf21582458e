#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "deb/deb.h"

namespace slip::deb {

/// The order in which packages are configured: indexes into the list that was given.
struct ConfigureOrder {
  std::vector<std::size_t> essential;  ///< Essential packages and what they need: configured alone, first
  std::vector<std::size_t> rest;
  /// For each package the packages that its Pre-Depends ask for.
  std::vector<std::vector<std::size_t>> pre_depends;
};

/// Dependencies before dependants where there is no cycle; otherwise, and among equals, by name. Depends on nothing
/// but the packages, so that ids which scripts allocate are the same in every run.
/// @source Debian Policy 6.6, 7.2 (which leave the order among equals, and within a cycle, to the installer)
ConfigureOrder configure_order(std::span<const Unpacked> packages);

}  // namespace slip::deb
