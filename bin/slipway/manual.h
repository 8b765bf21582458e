#pragma once

#include <map>
#include <string>

namespace slip::cli {

/// Every manual page by its file name ("slipway-lock.1"): slipway and its commands, slipway.yaml, the server
/// slipway-serve (in section 8: section 1 is `slipway serve`). Made from the same declarations as `--help` and
/// docs/reference.
std::map<std::string, std::string> manual_pages();

}  // namespace slip::cli
