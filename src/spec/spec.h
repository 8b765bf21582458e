#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"
#include "core/error.h"

namespace slip::spec {

/// Where a value stood, for carets and for "why" in the lock. Lines and columns count from 1.
struct Place {
  std::string file;  ///< as the user named it: "slipway.yaml", "requirements.txt"
  int line = 0;
  int column = 0;
  bool operator==(const Place&) const = default;
};

/// One PEP 508 requirement line, kept as written (extras, markers and hashes included).
struct Requirement {
  std::string text;                 ///< "tensorflow==2.9.0 ; python_version < '3.10'"
  std::vector<std::string> hashes;  ///< "sha256:…" from `--hash=` options
  Place place;
};

struct AptRequest {
  std::string text;  ///< "vim", "vim=2:8.2…" (exact version)
  Place place;
};

/// A file or folder of the project that goes into the image.
struct FileMapping {
  std::string source;  ///< relative to the spec's folder
  std::string target;  ///< absolute inside
  Place place;
};

struct MountRequest {
  std::string source;  ///< as written; relative ones are relative to the spec's folder
  std::string target;
  bool read_only = true;  ///< ":rw" makes it writable; the default is ro
  Place place;
};

struct RunStep {
  std::string command;  ///< given to /bin/sh -eu -c
  bool network = false;
  Place place;
};

struct Jupyter {
  std::vector<std::string> nbextensions;  ///< "codefolding/main"
  bool lab = false;
};
struct Ssh {
  std::vector<std::string> keys;  ///< public keys, one a line as in authorized_keys
};
struct Services {
  std::optional<Jupyter> jupyter;
  std::optional<Ssh> ssh;
};

struct Resources {
  std::optional<std::uint64_t> memory_bytes;
  std::optional<double> cpus;
  std::optional<std::uint64_t> pids;
  std::optional<std::uint64_t> shm_bytes;
};

struct Gpu {
  std::string cuda;   ///< "11.2"
  std::string cudnn;  ///< "8"
  Place place;
};

/// slipway.yaml with requirements files read, one variant applied and every default filled in.
struct Spec {
  std::filesystem::path folder;  ///< absolute folder of the spec; never part of digest()
  std::string name;
  std::string variant;                    ///< empty: the base
  std::string suite;                      ///< "bullseye": from `python` or `debian`
  std::string python;                     ///< "3.9"; empty: no Python in the image
  std::vector<Requirement> requirements;  ///< in the order written
  std::vector<AptRequest> apt;
  std::vector<FileMapping> files;
  std::map<std::string, std::string> env;
  std::string user = "dev";  ///< name of the workspace user (uid and gid 1000)
  Services services;
  std::vector<MountRequest> mounts;
  Resources resources;
  bool outbound = true;  ///< a running workspace has a way out (`network: none`: false)
  std::vector<RunStep> run;
  std::optional<Gpu> gpu;
  std::vector<std::string> overrule;  ///< packages whose built-in extra constraints are not added
  std::string exclude_newer;          ///< RFC 3339 or empty: chosen when locking
  std::vector<std::string>
      import_check;  ///< modules to import at build instead of the derived ones; {"none"} switches it off

  /// What its image and its workspace are called: NAME, of a variant NAME-VARIANT.
  [[nodiscard]] std::string full_name() const { return variant.empty() ? name : name + "-" + variant; }

  /// SHA-256 of everything that decides what is locked and built (canonical JSON; not the folder, not places,
  /// not comments or key order): the lock holds it, and a lock with another one is stale.
  [[nodiscard]] Digest digest() const;
};

/// Reads and checks a spec file. `variant` empty: the base.
/// @throws SpecError-shaped Error Invalid: "slipway.yaml:4:3: unknown key `requirments`", the line with a caret as a
///         cause, "did you mean `requirements`?" as the hint; NotFound when there is no file (hint: `slipway init`)
Spec load(const std::filesystem::path& file, const std::string& variant = {});
/// The same from text; `folder` is where requirements files and sources are looked up.
Spec parse(std::string_view yaml, const std::string& file_name, const std::filesystem::path& folder,
           const std::string& variant = {});

/// Canonical JSON of the spec as digest() hashes it; goes into the image's label.
std::string to_json(const Spec& spec);
/// The spec that an image's label holds: to_json(from_json(t)) == t. It has no folder and no places; personal keys of
/// services are not in it. `name` stands in messages.
/// @throws Error Invalid; Unsupported when a newer slipway wrote it
Spec from_json(std::string_view json, const std::string& name);

/// The published JSON schema (draft 2020-12) of slipway.yaml, with descriptions; made from the same key table that
/// parse() checks against.
std::string json_schema();

}  // namespace slip::spec
