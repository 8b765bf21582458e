#pragma once

#include <vector>

#include "wheel/gaps.h"
#include "wheel/index.h"
#include "wheel/tags.h"
#include "wheel/uv.h"

namespace slip::wheel {

/// Why a set of requirements has no solution, and the nearest change that gives it one: found by trying, with each
/// pinned requirement in turn left free. `added` are constraints of ours that were in force.
Error explain(const ResolveRequest& request, const CompileRequest& compile, const CompileAnswer& answer,
              const std::vector<AddedConstraint>& added, const Target& target, const config::Config& config,
              http::Client& client, Uv& uv);

/// The Pythons that the wheels of one version of a project are for, "3.7, 3.8, 3.9, 3.10"; empty: unknown or all.
std::string pythons_of(const std::vector<IndexFile>& files, const std::string& version);

/// The final release with a wheel for `target` that is nearest to `version`: the lowest above it, else the highest
/// below; empty: none has one.
std::string nearest_version(const std::vector<IndexFile>& files, const std::string& version, const TagTarget& target);

}  // namespace slip::wheel
