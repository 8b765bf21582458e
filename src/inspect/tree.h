#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "core/digest.h"
#include "core/events.h"
#include "inspect/subject.h"

namespace slip::inspect {

/// One path of an image as a container sees it.
struct TreeFile {
  codec::TarEntry entry;
  std::size_t layer = 0;  ///< that brought it
  Digest sha256;          ///< of a regular file's content; empty unless asked for, and for everything else
  std::string text;       ///< content, where it was asked for
};

/// All layers laid over one another.
struct Tree {
  std::map<std::string, TreeFile> files;  ///< by path, no leading "/"
  [[nodiscard]] const TreeFile* find(const std::string& path) const;
  /// Content of a regular file that was kept; follows links that stay inside. Empty when there is none.
  [[nodiscard]] std::string_view text(const std::string& path) const;
};

struct TreeOptions {
  bool hash = false;  ///< fill TreeFile::sha256
  /// Whose content is kept in TreeFile::text (at most 32 MiB each); absent: nothing.
  std::function<bool(const codec::TarEntry&)> keep;
  /// Sees every regular file of at most 1 MiB in every layer, also those that a higher layer hides.
  std::function<void(std::size_t layer, const codec::TarEntry&, std::string_view content)> look;
};

/// Reads all layers. Memory: O(paths) and what is kept. @throws Error as Subject::read_layer()
/// @source OCI image-spec v1.1 layer.md "Applying Changesets"
Tree read_tree(const Subject& subject, const TreeOptions& options, Events& events);

/// Lays the entries of one more layer over a tree: whiteouts, opaque folders, files in the place of folders.
void apply(Tree& tree, TreeFile file);

}  // namespace slip::inspect
