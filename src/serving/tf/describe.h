#pragma once

#include <string>

#include "serving/tf/api.h"

namespace slip::serving {

/// What this runtime can run, as one line of JSON: `tensorflow` (its version), `graph_def` (the newest form of a graph
/// that it knows) and `ops` (the names of its operations, sorted), all from the library itself.
std::string describe_runtime(const TfApi& api);

}  // namespace slip::serving
