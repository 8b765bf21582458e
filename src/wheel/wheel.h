#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "codec/layer.h"
#include "config/config.h"
#include "core/digest.h"
#include "core/events.h"
#include "http/client.h"
#include "launch/sandbox.h"
#include "store/store.h"

/// The Python ecosystem: what the rings above see of it. Details stand in the room's other headers.
namespace slip::wheel {

/// The interpreter an image has.
struct Target {
  std::filesystem::path root;  ///< merged root of the locked debs (need not be configured)
  std::string python;          ///< "3.9"
  std::string full_version;    ///< "3.9.2"
  std::string build_id;        ///< what byte code depends on: name, version and digest of the interpreter's debs
  std::string glibc;           ///< "2.31": bounds manylinux tags
  std::string prefix = "/opt/venv";
};

struct Requirement {
  std::string text;                 ///< PEP 508
  std::vector<std::string> hashes;  ///< "sha256:…"; non-empty: the chosen file must be among them
  std::string place;                ///< "slipway.yaml:5:5"
  std::string why;                  ///< "requirement" or "service jupyter"
};

/// A file of the index, chosen by tag rank.
struct File {
  std::string name;  ///< normalised project name
  std::string version;
  std::string file;  ///< "numpy-1.26.4-cp39-….whl"
  std::uint64_t size = 0;
  Digest sha256;
  bool sdist = false;
  std::string url;  ///< where it was seen; never goes into the lock
  std::string why;
};

struct Built {
  std::string file;
  std::uint64_t size = 0;
  Digest sha256;
  std::vector<std::string> with;  ///< "setuptools==80.10.2", sorted
};

struct Resolution {
  std::vector<File> files;                                 ///< sorted by name
  std::map<std::string, Built> built;                      ///< name of an sdist → its wheel
  std::vector<File> build_tools;                           ///< wheels the sdists are built with
  std::vector<File> tools;                                 ///< uv's own wheel
  std::vector<std::pair<std::string, std::string>> added;  ///< constraint → reason
  std::string exclude_newer;
};

struct ResolveRequest {
  std::vector<Requirement> requirements;
  std::vector<std::string> overruled;    ///< package names whose metadata-gap constraints are not added
  std::string exclude_newer;             ///< empty: now, rounded down to the day
  std::vector<std::string> preferences;  ///< "numpy==1.26.4": kept when still allowed (an existing lock)
  std::vector<std::pair<std::string, std::string>> constraints;  ///< PEP 508 → reason; part of what was `added`
  std::vector<std::string> left_out;                             ///< names that nothing brings, whoever requires them
  std::string alias = "pypi";
};

/// Resolves for the target with uv (fetched by pinned hash), checks what comes back, builds the sdists once.
/// @throws Error Conflict: who conflicts through whom, hint: the nearest change that solves it; NotFound; Unavailable
Resolution resolve(const ResolveRequest& request, const Target& target, const config::Config& config,
                   http::Client& client, store::Store& store, const launch::HostId& id, Events& events);

/// URLs where a file of the index with this digest can be had now (through the configured index of `alias`).
/// One call for many: index pages are fetched in parallel. @throws Error NotFound naming file and project
std::map<Digest, std::string> locate(std::span<const File> files, const std::string& alias,
                                     const config::Config& config, http::Client& client, store::Store& store);

struct WheelInput {
  std::filesystem::path path;  ///< the wheel file
  std::string file;            ///< its file name
  Digest sha256;
  bool requested = false;  ///< asked for by the user: gets a REQUESTED file
};

/// Builds an sdist in the sandbox with these tools, offline; the wheel becomes a blob of the store. The same inputs
/// give the same bytes for everybody, and a build that this store has the wheel of is not repeated. `sdist` is a blob
/// of the store. `with` of the result is left to the caller.
/// @throws Error Invalid with the last lines of the build
/// @source PEP 517
Built build_sdist(const std::filesystem::path& sdist, const std::string& sdist_name,
                  std::span<const WheelInput> tool_wheels, const Target& target, store::Store& store,
                  const launch::HostId& id, Events& events);

/// What installing a wheel puts into the image: its files at their final paths (spliced where the archive's bytes
/// can be used as they are), scripts, entry points, RECORD, INSTALLER. Unpacked once into tree "wheel-HEX…", every
/// file checked against crc32 and RECORD. Includes the parent folders under prefix. Sorted. No byte code.
std::vector<codec::LayerItem> install(const WheelInput& wheel, const Target& target, store::Store& store,
                                      const launch::HostId& id);

/// Byte code (`__pycache__/*.cpython-39.pyc`) for the .py files of wheels, as items of the same layer: unchecked-hash
/// headers, marshal version 2 (no references, so the same bytes in any order), compiled by the target's interpreter in
/// the sandbox; kept per wheel, build_id and prefix. Several wheels share one interpreter start. result[i] belongs to
/// wheels[i].
std::vector<std::vector<codec::LayerItem>> compile(std::span<const WheelInput> wheels, const Target& target,
                                                   store::Store& store, const launch::HostId& id, Events& events);

/// pyvenv.cfg, bin/python links, the prefix's folders: what makes /opt/venv a virtual environment of the target.
std::vector<codec::LayerItem> venv_skeleton(const Target& target);

/// Modules of a wheel that an import check should import: the one named like the project, else those of top_level.txt,
/// else the packages it ships; without private ones.
std::vector<std::string> top_level_modules(const WheelInput& wheel);

/// Where the shared libraries of a wheel come to lie that stand in a folder `lib`, without the leading "/":
/// "opt/venv/lib/python3.9/site-packages/nvidia/cudnn/lib/libcudnn.so.8". NVIDIA's wheels keep there what programs load
/// by soname. Sorted.
std::vector<std::string> shared_libraries(const WheelInput& wheel, const Target& target);

/// Normalised names of everything its METADATA may require, whatever the markers and extras.
std::vector<std::string> required_names(const WheelInput& wheel);

}  // namespace slip::wheel
