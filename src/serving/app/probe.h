#pragma once

#include <string>

#include "serving/base/options.h"

namespace slip::serving {

/// Asks the server that these options describe, on this machine, whether it is ready: what an image without a shell
/// or curl checks its health with.
/// @param answer  receives what it said, or why there was no answer
/// @return true when it is ready  @throws Error Usage: it has no port that can be asked
bool probe(const Options& options, std::string& answer);

}  // namespace slip::serving
