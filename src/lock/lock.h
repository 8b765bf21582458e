#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"

namespace slip::lock {

/// Why a package is there that `gpu:` brings.
inline constexpr const char* kGpu = "gpu";

/// One file to fetch, named without any host.
struct Artifact {
  std::string source;      ///< alias: "debian", "debian-security", "pypi"
  std::string file;        ///< Debian: pool path "pool/main/b/bash/bash_5.1-2_amd64.deb"; Python: file name
  std::uint64_t size = 0;  ///< bytes
  Digest sha256;
  bool operator==(const Artifact&) const = default;
};

struct Deb {
  std::string name;
  std::string version;
  std::string arch;
  Artifact artifact;
  std::string layer;  ///< "base", "debs-2", "vim-runtime"
  std::string why;    ///< "base", "apt", "service ssh", kGpu, "needed by NAME"
  bool operator==(const Deb&) const = default;
};

struct Wheel {
  /// What building an sdist in the sandbox gives, and what it is built with.
  struct Built {
    std::string file;
    std::uint64_t size = 0;
    Digest sha256;
    std::vector<std::string> with;  ///< "setuptools==80.10.2", sorted; each stands in Lock::build_tools
    bool operator==(const Built&) const = default;
  };
  std::string name;  ///< normalised (PEP 503)
  std::string version;
  Artifact artifact;  ///< the wheel; with `built`: the sdist it is built from
  std::optional<Built> built;
  std::string layer;  ///< "python-tensorflow", "wheels-3"; empty for build tools and tools
  std::string why;    ///< "requirement", "service jupyter", "needed by NAME"
  bool operator==(const Wheel&) const = default;
};

/// A constraint that nobody wrote but the set needs.
struct Added {
  std::string constraint;  ///< "numpy<2"
  std::string because;
  bool operator==(const Added&) const = default;
};

/// A wheel that another requires and that is left out all the same.
struct LeftOut {
  std::string name;
  std::string because;
  bool operator==(const LeftOut&) const = default;
};

/// slipway.lock: the whole truth about what an image is made of. Knows no host, no time of writing, no mirror.
struct Lock {
  static constexpr int kFormat = 1;
  Digest spec;           ///< spec::Spec::digest(); a lock with another one is stale
  std::string suite;     ///< "bullseye"
  std::string snapshot;  ///< newest Date of the suite's Release files, RFC 3339 UTC: SOURCE_DATE_EPOCH of the build
  std::string python;    ///< "3.9"; empty without Python
  std::string exclude_newer;  ///< RFC 3339; empty without Python
  std::string encoder;        ///< codec::encoder_id()
  Digest init;                ///< of the slipway-init that enters the image
  std::vector<Added> added;
  std::vector<LeftOut> left_out;
  std::vector<Deb> debs;           ///< sorted by name, then arch
  std::vector<Wheel> wheels;       ///< sorted by name
  std::vector<Wheel> build_tools;  ///< wheels that only sdist builds need; sorted
  std::vector<Wheel> tools;        ///< uv
  bool operator==(const Lock&) const = default;
};

/// The file's text: stable order, one package a line, so that a changed pin is a two-line diff.
std::string to_toml(const Lock& lock);
/// @throws Error Invalid with file:line:column; Unsupported for another format
Lock from_toml(std::string_view text, const std::string& file_name);
/// SHA-256 of to_toml(): `lock --json` and the image's label carry it.
Digest digest(const Lock& lock);

}  // namespace slip::lock
