#pragma once

#include "image/engine.h"
#include "spec/spec.h"

namespace slip::image {

/// Imports what the spec asked for inside the built root, in one process; only modules whose wheel, or anything it
/// depends on, changed since they were last imported with success.
/// @throws Error Invalid: which import failed, with the last line of its traceback; the hint names what to pin
void check_imports(const spec::Spec& spec, const lock::Lock& lock, Engine& engine, lock::Context& context);

}  // namespace slip::image
