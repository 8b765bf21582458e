#pragma once

#include "image/engine.h"
#include "spec/spec.h"

namespace slip::image {

/// Imports what the spec asked for inside the built root, in one process; only modules whose wheel, or anything it
/// depends on, changed since they were last imported with success.
/// With `gpu:` also whether the image's loader finds CUDA's and cuDNN's libraries with all they need, and whether
/// TensorFlow was built for them: without it a framework computes on the CPU and says nothing.
/// @throws Error Invalid: which import failed, with the last line of its traceback; the hint names what to pin
void check_imports(const spec::Spec& spec, const lock::Lock& lock, Engine& engine, lock::Context& context);

}  // namespace slip::image
