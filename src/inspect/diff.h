#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/libraries.h"
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
  /// Files that belong together, and how much they are.
  struct Part {
    std::string name;  ///< "deb libc6 2.31-13", "layer model"; empty: files of no package
    std::uint64_t files = 0, bytes = 0;
  };
  struct Contents {
    std::uint64_t files = 0, bytes = 0;  ///< regular files
    std::size_t debs = 0, wheels = 0;    ///< packages
  };
  bool same = false;  ///< the manifests are equal
  Contents a, b;
  std::vector<Field> config;
  std::vector<std::string> shared_layers;  ///< names (of B) of layers whose blobs both have
  std::vector<Change> packages;
  std::size_t kept_packages = 0;              ///< that both have in the same version
  std::vector<File> changed, only_a, only_b;  ///< regular files and links; folders are left out. By path
  /// Every regular file of B is kept (A has its content, at the same path or another), a library with a namesake in A,
  /// or new; every one of A has its content kept, is such a namesake, or is lost.
  std::uint64_t kept_files = 0, kept_bytes = 0, new_files = 0, new_bytes = 0;
  std::vector<Namesake> libraries;
  std::uint64_t lost_files = 0, lost_bytes = 0;
  std::vector<Part> kept, lost;  ///< by the packages of A; by falling size
  std::vector<Part> added;       ///< what is new, by the layers of B; by falling size
};

/// Compares two images; reads every layer of both once, and those with stripped libraries once more.
ImageDiff diff_images(const Subject& a, const Subject& b, const lock::Context& context);

}  // namespace slip::inspect
