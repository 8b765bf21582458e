#pragma once

#include <string>
#include <string_view>

#include "serving/base/status.h"

namespace slip::serving {

/// A ConfigProto in text format as its wire bytes, for the fields that make a difference on a processor. Others are
/// errors that name their line, because leaving them out could change what a model does.
/// @source tensorflow/core/protobuf/config.proto, rewriter_config.proto of TensorFlow 2.9
Result<std::string> read_session_config(std::string_view text);

}  // namespace slip::serving
