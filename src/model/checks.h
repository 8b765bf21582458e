#pragma once

#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/finding.h"
#include "model/saved_model.h"

/// Whether a SavedModel can be served by a runtime, before it is tried.
namespace slip::model {

/// What a runtime can run, from `slipway-serve --describe_runtime`.
struct RuntimeFacts {
  std::string tensorflow;  ///< "2.9.0"
  std::int64_t graph_version = 0;
  std::set<std::string> operations;
};
/// @throws Error Invalid
RuntimeFacts parse_facts(std::string_view json);

/// Each finding that is not ok is a reason why the model cannot be served: an operation that the runtime does not
/// have, a graph that is newer than it, variables or assets that are missing or cut short, no signature.
std::vector<Finding> check_model(const SavedModel& model, const RuntimeFacts& runtime);

/// Throws the findings that are not ok as one error with their hints. @throws Error Unsupported
void refuse_unless_ok(const SavedModel& model, const std::vector<Finding>& findings);

}  // namespace slip::model
