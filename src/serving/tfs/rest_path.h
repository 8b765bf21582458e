#pragma once

#include <string_view>

#include "serving/models/manager.h"

namespace slip::serving {

/// What a path below /v1/models asks for.
struct RestPath {
  enum class Action { Status, Metadata, Predict, Classify, Regress };
  Action action = Action::Status;
  ModelSpec spec;  ///< the name may be empty for Status
};

/// Reads `/v1/models/NAME[/versions/N|/labels/L][/metadata|:predict|:classify|:regress]`, letters in any case, the
/// name percent-decoded after the match. Fails with TensorFlow Serving's "Malformed request" for all else.
/// @source TensorFlow Serving 2.9, model_servers/http_rest_api_util.cc
Result<RestPath> read_rest_path(std::string_view method, std::string_view path);

}  // namespace slip::serving
