#pragma once

#include <string>
#include <vector>

#include "deb/deb.h"
#include "deb/index.h"

namespace slip::deb {

/// Solves the closure of Essential + base + requests over an index, without Recommends. No network, no store.
/// @throws Error NotFound (unknown name or version), Conflict (explanation as causes)
std::vector<Candidate> solve_index(const Index& index, const std::string& release, const std::vector<Request>& requests,
                                   bool with_python);

/// The choices that apt would make, found by walking from `roots` and taking the first alternative that is a real
/// package, else the provider of highest priority. libsolv is asked to take them if it can; where they contradict each
/// other, its own choice stands.
std::vector<const IndexEntry*> apt_like_choices(const Index& index, const std::vector<const IndexEntry*>& roots);

}  // namespace slip::deb
