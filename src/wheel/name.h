#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace slip::wheel {

/// "Jupyter.Contrib_Core" → "jupyter-contrib-core". @source PEP 503 "Normalized Names"
std::string normalise(std::string_view name);

/// A wheel's file name taken apart. @source PyPA binary-distribution-format "File name convention"
struct WheelName {
  std::string name;  ///< normalised
  std::string version;
  /// The build tag, by which the file is chosen among equals: its number and what follows; without one the lowest.
  std::pair<std::uint64_t, std::string> build;
  std::vector<std::string> pythons;    ///< "cp39", "py3"
  std::vector<std::string> abis;       ///< "cp39", "abi3", "none"
  std::vector<std::string> platforms;  ///< "manylinux_2_17_x86_64", "any"
};
std::optional<WheelName> parse_wheel_name(std::string_view file);

/// "black-24.10.0.tar.gz" → name and version. Only .tar.gz and .zip archives count.
struct SdistName {
  std::string name;  ///< normalised
  std::string version;
};
std::optional<SdistName> parse_sdist_name(std::string_view file);

/// The project a requirement names: "black[jupyter]>=24 ; python_version<'4'" → "black".
std::string requirement_name(std::string_view requirement);

/// Numbers of a version's release part: "1.26.4rc1" → {1,26,4}. An epoch "1!" counts as a leading part of its own.
std::vector<unsigned> release_numbers(std::string_view version);
/// -1, 0, 1 by release numbers alone, missing ones are 0.
int compare_release(std::string_view a, std::string_view b);
/// True when two spellings mean the same version: "1.0" and "1.0.0", "1.0RC1" and "1.0rc1".
bool same_version(std::string_view a, std::string_view b);

}  // namespace slip::wheel
