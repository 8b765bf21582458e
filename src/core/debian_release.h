#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace slip {

/// A Debian release that images are made of: the one place that says which there are. The spec, the lock, explanations
/// and audits all read it.
/// @source debian.csv of the package distro-info-data 0.58+deb12u7 (columns version, series, eol-lts)
struct DebianRelease {
  std::string_view name;         ///< "bookworm"
  std::string_view number;       ///< "12"
  std::string_view python;       ///< "3.11": the only one that it brings
  bool distutils;                ///< python3-distutils is a package of its own (Python dropped it with 3.12)
  bool merged_usr;               ///< /bin, /sbin, /lib… are links into /usr from the first package on
  std::string_view fixes_until;  ///< last day on which its security suite gets fixes (LTS included): "2028-06-30"
};

/// Oldest first.
std::span<const DebianRelease> debian_releases();
/// nullptr: slipway does not know it.
const DebianRelease* debian_release(std::string_view name);
/// The one that brings a Python ("3.11"); nullptr: none does.
const DebianRelease* debian_release_with_python(std::string_view python);
/// For suggestions.
std::vector<std::string> debian_release_names();

}  // namespace slip
