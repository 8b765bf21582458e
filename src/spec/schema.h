#pragma once

#include <string>

namespace slip::spec {

/// docs/reference/spec.md: every key of slipway.yaml with its shape, default and example, made from the key table.
std::string spec_reference();

}  // namespace slip::spec
