#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "core/finding.h"
#include "lock/context.h"
#include "model/prove.h"

namespace slip::model {

/// Runs the same requests through Python's TensorFlow in the workspace image that trained the model, with no network,
/// and holds the answers of the model image against them.
///
/// @param workspace   merged root of the workspace image
/// @param saved_model the model's folder as it lies in the model image's root
Finding compare_with_python(const std::vector<Exchange>& exchanges, const std::filesystem::path& saved_model,
                            const std::filesystem::path& workspace, lock::Context& context);

}  // namespace slip::model
