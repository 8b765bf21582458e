#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/events.h"
#include "inspect/subject.h"
#include "inspect/tree.h"

/// What one image has that another has not: configuration, layers, packages, files by content.
namespace slip::inspect {

struct ImageDiff {
  struct Field {
    std::string name;           ///< "user", "env PATH", "label org.opencontainers.image.title"
    std::string before, after;  ///< empty: not set
  };
  struct Change {
    std::string kind, name;     ///< "deb" or "python"
    std::string before, after;  ///< version; empty: not there
  };
  struct File {
    std::string path;
    std::uint64_t size = 0;           ///< of a regular file, in the image that has it (B's where both have)
    std::vector<std::string> fields;  ///< of a changed one: "content", "mode", "owner", "type", "link"
    std::string elsewhere;            ///< of one only in B: a path of A with the same content; empty: none
  };
  bool same = false;  ///< the manifests are equal
  std::vector<Field> config;
  std::vector<std::string> shared_layers;  ///< names (of B) of layers whose blobs both have
  std::vector<Change> packages;
  std::vector<File> changed, only_a, only_b;  ///< regular files and links; folders are left out. By path
  /// Regular files of B whose content A has too, at the same path or another, and what is new.
  std::uint64_t kept_files = 0, kept_bytes = 0, new_files = 0, new_bytes = 0;
  /// Regular files of A whose content B has nowhere.
  std::uint64_t lost_files = 0, lost_bytes = 0;
};

/// Compares two images; reads every layer of both once.
ImageDiff diff_images(const Subject& a, const Subject& b, Events& events);

/// The part over trees that were read with `hash`. Pure; fills everything but config and layers.
void diff_trees(const Tree& a, const Tree& b, ImageDiff& diff);

}  // namespace slip::inspect
