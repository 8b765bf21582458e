#pragma once

#include <string_view>

#include "serving/base/deadline.h"
#include "serving/base/metrics.h"
#include "serving/base/status.h"

namespace slip::serving {

/// Notes the end of an inference request under TensorFlow Serving's names.
/// @param api         "predict" on REST, "Predict" on gRPC
/// @param entrypoint  "REST" or "GRPC"
void note_request(Metrics& metrics, std::string_view model, Code code, std::string_view api,
                  std::string_view entrypoint, Clock::time_point start);

/// Notes how many examples a request for classes or regressions holds.
void note_examples(Metrics& metrics, std::string_view model, std::size_t count);

}  // namespace slip::serving
