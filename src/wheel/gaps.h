#pragma once

#include <map>
#include <string>
#include <vector>

namespace slip::wheel {

/// Packages whose own metadata lets a resolver choose something that does not work, and what is missing in it.
struct Gap {
  const char* trigger;     ///< normalised name
  const char* from;        ///< lowest release concerned
  const char* before;      ///< first release whose metadata is right; "": none yet
  const char* target;      ///< normalised name of what is constrained
  const char* constraint;  ///< "numpy<2"
  const char* because;     ///< a sentence without the trigger's version, which is put in front
};

struct AddedConstraint {
  std::string constraint;
  std::string because;
  std::string target;
  bool operator==(const AddedConstraint&) const = default;
};

/// The constraints that a set of pins (name → version) needs on top of its metadata, each once, sorted. Only for
/// targets that are in the set and not overruled.
std::vector<AddedConstraint> missing_constraints(const std::map<std::string, std::string>& pins,
                                                 const std::vector<std::string>& overruled);

}  // namespace slip::wheel
