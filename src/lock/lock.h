#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"

namespace slip::lock {

/// One file to fetch, named without any host.
struct Artifact {
  std::string source;     ///< alias: "debian", "debian-security", "pypi"
  std::string file;       ///< Debian: pool path "pool/main/b/bash/bash_5.1-2_amd64.deb"; Python: file name
  std::uint64_t size = 0; ///< bytes
  Digest sha256;
  bool operator==(const Artifact&) const = default;
};

struct Deb {
  std::string name;
  std::string version;
  std::string arch;
  Artifact artifact;
  std::string why;  ///< "base", "apt", "needed by NAME"
  bool operator==(const Deb&) const = default;
};

struct Wheel {
  std::string name;     ///< normalised (PEP 503)
  std::string version;
  Artifact artifact;    ///< the wheel; for an sdist the archive it is built from
  std::string why;      ///< "requirement", "needed by NAME", "service jupyter"
  /// For an sdist: what building it in the sandbox gives, and what it is built with (names in `build_tools`).
  struct Built {
    std::string file;
    std::uint64_t size = 0;
    Digest sha256;
    std::vector<std::string> with;  ///< "setuptools==80.10.2"
    bool operator==(const Built&) const = default;
  };
  std::optional<Built> built;
  bool operator==(const Wheel&) const = default;
};

/// A constraint that nobody wrote but the set needs.
struct Added {
  std::string constraint;  ///< "numpy<2"
  std::string because;     ///< "tensorflow 2.9.0 was built against numpy 1 …"
  bool operator==(const Added&) const = default;
};

/// A layer of packages in the order they stand in the image.
struct Split {
  std::string name;                   ///< "debs-0", "tensorflow", "wheels-3"
  std::vector<std::string> packages;  ///< names; a deb as "deb:NAME", a wheel as "wheel:NAME"
  bool operator==(const Split&) const = default;
};

/// slipway.lock: the whole truth about what an image is made of. Knows no host, no time of writing, no mirror.
struct Lock {
  static constexpr int kFormat = 1;
  Digest spec;                 ///< spec::Spec::digest()
  std::string suite;           ///< "bullseye"
  std::string snapshot;        ///< newest Date of the suite's Release files, RFC 3339 UTC
  std::int64_t epoch = 0;      ///< SOURCE_DATE_EPOCH of the build: the snapshot in seconds
  std::string python;          ///< "3.9.2", empty without Python
  std::string exclude_newer;   ///< RFC 3339; empty without Python
  std::string encoder;         ///< codec::encoder_id()
  std::vector<Deb> debs;       ///< sorted by name, then arch
  std::vector<Wheel> wheels;   ///< sorted by name
  std::vector<Wheel> build_tools;  ///< wheels that only sdist builds need
  std::vector<Wheel> tools;    ///< uv
  std::vector<Added> added;
  std::vector<Split> layers;
  bool operator==(const Lock&) const = default;
};

/// The file's text: stable order, one package a line.
std::string to_toml(const Lock& lock);
/// @throws Error Invalid with file:line:column; Unsupported for a newer format
Lock from_toml(std::string_view text, const std::string& file_name);
/// SHA-256 of to_toml(): what `lock --json` calls `digest` and the image's label carries.
Digest digest(const Lock& lock);

}  // namespace slip::lock
