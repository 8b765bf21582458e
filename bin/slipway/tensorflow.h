#pragma once

#include <filesystem>

#include "session.h"

namespace slip::cli {

/// TensorFlow's runtime for serving on this machine: the folder `tensorflow` of a wheel, whose two libraries
/// slipway-serve loads. In this order: $SLIPWAY_TENSORFLOW; lib/slipway/tensorflow where slipway is installed; the
/// wheel tensorflow-cpu 2.9 in the store, fetched and unpacked when it is not there yet.
///
/// What comes out of the store is leased until this process, and what it becomes by exec, ends.
/// @throws Error NotFound, Unavailable when it cannot be had
std::filesystem::path find_tensorflow(Session& s, bool offline);

}  // namespace slip::cli
