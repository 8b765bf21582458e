#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace slip::spec {

/// What is wrong with a requirement, for a caret below it.
struct RequirementFault {
  std::size_t at = 0;  ///< byte offset in the text
  std::size_t length = 1;
  std::string message;  ///< "expected `==`, found `=`"
  std::string hint;     ///< may be empty
};

/// Checks the form of one PEP 508 requirement by name: name, extras, versions, marker. URLs and paths are refused,
/// because they cannot be pinned by version. nullopt: it is well formed. What the words mean is the resolver's matter.
/// @source PEP 508, PEP 440 (operators)
std::optional<RequirementFault> requirement_fault(std::string_view text);

/// The name as written at the front of a well-formed requirement.
std::string_view requirement_name(std::string_view text);

/// Whether a version such as "3.11" satisfies specifiers such as ">=3.9,<3.12" (release numbers only, the form that
/// requires-python has). Malformed specifiers count as satisfied: the resolver judges them.
bool version_satisfies(std::string_view version, std::string_view specifiers);

}  // namespace slip::spec
