#pragma once

#include <filesystem>

#include "inspect/subject.h"
#include "model/ship.h"

namespace slip::inspect {

/// The recipes of a model image again, from the lock and the model that it carries. The model and slipway-serve are
/// taken out of the image, since no lock names them, slipway-init too (held against the lock's digest); all that is
/// said of the model in labels is read anew from its files.
/// @param folder  where what is taken out is kept; must outlive the plan
/// @throws Error Corrupt: the image is not one that slipway could have shipped
model::ShipPlan plan_again(const Subject& subject, const std::filesystem::path& folder, lock::Context& context);

}  // namespace slip::inspect
