#pragma once

#include <string_view>
#include <vector>

#include "serving/models/manager.h"

namespace slip::serving {

/// Reads a model config file: ModelServerConfig in protobuf's text format.
/// @source TensorFlow Serving 2.9, config/model_server_config.proto
Result<std::vector<ModelConfig>> read_model_config(std::string_view text);

/// MonitoringConfig: the path of the metrics page, empty when it is not enabled.
/// @source TensorFlow Serving 2.9, config/monitoring_config.proto
Result<std::string> read_monitoring_config(std::string_view text);

}  // namespace slip::serving
