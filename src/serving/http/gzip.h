#pragma once

#include <string>
#include <string_view>

#include "serving/base/status.h"

namespace slip::serving {

/// Inflates a gzip body. @param limit  of the result
Result<std::string> inflate_gzip(std::string_view bytes, std::size_t limit);

}  // namespace slip::serving
