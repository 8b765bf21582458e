#pragma once

#include <string>
#include <vector>

#include "deb/index.h"

struct s_Solver;

namespace slip::deb {

/// Says in words why the solver found no answer, one sentence each, without repetitions.
std::vector<std::string> explain_problems(s_Solver* solver, const Index& index, const std::string& release);

}  // namespace slip::deb
