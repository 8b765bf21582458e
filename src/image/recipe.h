#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "core/digest.h"
#include "lock/lock.h"

/// An image is a list of layer recipes. A recipe is a value: what goes in (packages and files by digest, a
/// command), under which rules. Its key is the hash of all that, and nothing but it and the encoder decides the layer's
/// bytes: not the host, the time, the user, the mirror.
namespace slip::image {

/// Debian packages, unpacked. The first layer also holds the root's skeleton (usr-merge links and mount points).
struct DebsRecipe {
  std::string suite;
  bool skeleton = false;
  std::vector<lock::Deb> debs;
};

/// What really running the maintainer scripts of all packages changes.
struct ConfigureRecipe {
  std::string suite;
  std::int64_t epoch = 0;
  std::vector<lock::Deb> debs;  ///< the whole set
};

/// Python packages installed into the prefix, with their byte code.
struct WheelsRecipe {
  std::string python_build;  ///< identifies the interpreter (wheel::Target::build_id)
  std::string prefix;
  std::vector<lock::Wheel> wheels;
  std::set<std::string> requested;  ///< names that get a REQUESTED file
};

/// Accounts, home, virtual environment, environment of login shells: what slipway itself writes.
struct SystemRecipe {
  std::string suite;
  std::int64_t epoch = 0;
  std::string user;
  std::string python;  ///< empty: no virtual environment
  std::string prefix;
  std::map<std::string, std::string> env;  ///< of the image
  Digest configured;                       ///< key of the configure layer: its account files are the base of ours
  std::vector<lock::Wheel> libraries;      ///< wheels whose shared libraries the loader must find by soname
};

/// Notebook extensions installed and enabled for everybody.
struct NbextensionsRecipe {
  std::int64_t epoch = 0;
  std::string prefix;
  std::vector<std::string> enabled;
  Digest below;  ///< key of everything the tool runs on
};

/// A command that runs in the sandbox, over everything below.
struct RunRecipe {
  std::int64_t epoch = 0;
  std::string command;
  bool network = false;
  std::map<std::string, std::string> env;
  std::size_t index = 0;
  Digest below;
};

/// One path of the project that goes into the image.
struct ProjectFile {
  std::string path;    ///< inside the image, no leading "/"
  std::string source;  ///< absolute on this host; not part of the key
  std::uint32_t mode = 0644;
  std::uint64_t size = 0;
  Digest sha256;     ///< of a regular file's content
  std::string link;  ///< target of a symbolic link
  enum class Kind { File, Folder, Link } kind = Kind::File;
};

struct FilesRecipe {
  std::int64_t epoch = 0;
  std::vector<ProjectFile> files;
  std::uint32_t owner = 1000;  ///< user and group inside: the workspace user, or 0
};

/// The process manager that every image starts with.
struct InitRecipe {
  Digest sha256;
  std::string source;  ///< the program on this host; not part of the key
};

/// Text files that slipway itself writes (root's, read-only for the workspace user).
struct TextsRecipe {
  struct File {
    std::string path;  ///< inside the image, no leading "/"
    std::uint32_t mode = 0644;
    std::string text;
  };
  std::int64_t epoch = 0;
  std::vector<File> files;
};

/// Chosen paths of Debian packages, on the root's skeleton, and texts of slipway's own: a system without the rest. No
/// maintainer script runs, no package database is kept but the one among the texts.
struct PickRecipe {
  std::string suite;
  std::int64_t epoch = 0;
  std::vector<lock::Deb> debs;
  std::vector<std::string> paths;  ///< files and links, sorted; each ships in exactly one of the packages
  std::vector<TextsRecipe::File> texts;
};

/// Chosen files of one wheel, at places of their own; ELF files without what only linkers and debuggers read.
struct ExtractRecipe {
  std::int64_t epoch = 0;
  lock::Wheel wheel;
  std::map<std::string, std::string> files;  ///< path inside the image, no leading "/" → name in the wheel
};

/// Programs of slipway itself and the texts that they are started with.
struct ProgramsRecipe {
  struct Program {
    std::string path;    ///< inside the image, no leading "/"
    Digest sha256;       ///< of the program on this host
    std::string source;  ///< where it lies; not part of the key
    bool strip = false;  ///< leave out what only linkers and debuggers read
  };
  std::int64_t epoch = 0;
  std::vector<Program> programs;
  std::vector<TextsRecipe::File> texts;
};

using Recipe = std::variant<DebsRecipe, ConfigureRecipe, WheelsRecipe, SystemRecipe, NbextensionsRecipe, RunRecipe,
                            FilesRecipe, InitRecipe, TextsRecipe, PickRecipe, ExtractRecipe, ProgramsRecipe>;

/// A recipe with what people call it.
struct LayerPlan {
  std::string name;                   ///< "base", "debs-2", "configure", "python-tensorflow", "files", …
  std::vector<std::string> packages;  ///< "bash 5.1-2": what `build --json` lists
  Recipe recipe;
};

/// "debs", "configure", "wheels", "system", "nbextensions", "run", "files", "init", "texts", "picked",
/// "extracted", "programs".
std::string kind_of(const Recipe& recipe);
/// Canonical JSON of the recipe: the text that key() hashes, and what `explain` shows.
std::string describe(const Recipe& recipe);
/// SHA-256 over the format of recipes and describe().
Digest key(const Recipe& recipe);

}  // namespace slip::image
