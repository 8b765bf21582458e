#pragma once

#include <string_view>

#include "serving/metrics.h"
#include "serving/model.h"
#include "serving/status.h"

namespace slip::serving {

/// Notes the end of an inference request under TensorFlow Serving's names.
/// @param api         "predict" on REST, "Predict" on gRPC
/// @param entrypoint  "REST" or "GRPC"
void note_request(Metrics& metrics, std::string_view model, Code code, std::string_view api,
                  std::string_view entrypoint, Clock::time_point start);

}  // namespace slip::serving
