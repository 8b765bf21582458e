#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "inspect/subject.h"
#include "inspect/tree.h"

/// Libraries that two images have under one name with other bytes, and what became of them.
namespace slip::inspect {

/// A library of B whose bytes are not in A, beside the one of A with its name.
struct Namesake {
  enum class Relation {
    Stripped,       ///< B's bytes are A's without symbol tables: A's were stripped again, the SHA-256 is B's
    StrippedBuild,  ///< another build; B's has no symbol tables, A's has
    Build,          ///< another build
  };
  struct Place {
    std::string path;  ///< no leading "/"
    std::uint64_t size = 0;
    Digest sha256;
    std::string package;  ///< "deb libc6 2.31-13", "python tensorflow 2.9.0"; empty: not known
  };
  std::string name;  ///< "libtensorflow_framework.so.2"
  Place before, after;
  Relation relation = Relation::Build;
};

/// The namesakes of two trees that were read with `hash`; at the same path rather than at another. By falling size in
/// B; without packages and relations. Pure.
std::vector<Namesake> namesakes(const Tree& a, const Tree& b);

/// Fills in the relations: strips a copy of A's file where B's is smaller. Reads the layers that hold such files once
/// more; a copy lies in the store's temp folder while it is looked at. Memory: constant.
void relate(std::vector<Namesake>& libraries, const Subject& a, const Tree& tree_a, const Subject& b,
            const Tree& tree_b, const lock::Context& context);

}  // namespace slip::inspect
