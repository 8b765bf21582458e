#pragma once

#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "core/finding.h"
#include "session.h"

namespace slip::cli {

/// `checks` of `audit --json` and `doctor --json`: id, title, ok, found, wanted, hint, exception; absent is null.
nlohmann::json to_json(const std::vector<Finding>& findings);

/// The table for people on stdout, then what to do about each that fails; under --json nothing.
void print_findings(const std::vector<Finding>& findings, Session& s);

}  // namespace slip::cli
