#pragma once

#include <filesystem>
#include <string>

#include "session.h"

namespace slip::cli {

/// TensorFlow's runtime for serving on this machine: the folder `tensorflow` of a wheel, whose two libraries
/// slipway-serve loads. In this order: $SLIPWAY_TENSORFLOW; lib/slipway/tensorflow where slipway is installed; the
/// wheel that the runtime lock of model images names, out of the store, fetched and unpacked when it is not there yet.
///
/// What comes out of the store is leased until this process, and what it becomes by exec, ends.
/// @param version  of TensorFlow that wrote the model, "2.9.0"; another than those of the runtime lock, or empty: its
/// default
/// @throws Error NotFound, Unavailable when it cannot be had
std::filesystem::path find_tensorflow(Session& s, const std::string& version, bool offline);

}  // namespace slip::cli
