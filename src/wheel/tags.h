#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "wheel/name.h"

namespace slip::wheel {

/// What the tags of a wheel are held against.
struct TagTarget {
  unsigned minor = 9;        ///< of CPython 3
  unsigned glibc_major = 2;  ///< bounds manylinux
  unsigned glibc_minor = 31;
};
/// @param python "3.9"  @param glibc "2.31"
TagTarget tag_target(std::string_view python, std::string_view glibc);

/// How well a wheel fits x86_64 Linux: smaller is better; nullopt when it does not run there. The order is that of
/// installers: own ABI before abi3 before none, newer Python tags before older, newer manylinux before older before
/// `any`.
/// @source PEP 425 "Compressed Tag Sets"; PEP 600
std::optional<unsigned> tag_rank(const WheelName& wheel, const TagTarget& target);

}  // namespace slip::wheel
