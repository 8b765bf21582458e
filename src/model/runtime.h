#pragma once

#include <string>
#include <string_view>

#include "lock/context.h"
#include "lock/lock.h"

/// What model images stand on: Debian packages for the system, TensorFlow's CPU wheel for the runtime.
namespace slip::model {

/// The runtime lock that ships with this slipway (runtime.lock): the packages, and one wheel per version of TensorFlow.
/// As a lock of slipway.lock's form without the lines `encoder` and `slipway-init`, which are the running slipway's.
extern const char* const kRuntimeLock;

/// The version that a model is served with when nobody says which it was trained with.
inline constexpr std::string_view kDefaultTensorflow = "2.9.0";

/// Reads a runtime lock and completes it with what this slipway brings. Its wheels are all versions there are.
/// @throws Error Invalid with file:line:column
lock::Lock parse_runtime(std::string_view text, const std::string& file_name, const Digest& init);
/// The text that parse_runtime() reads.
std::string runtime_text(const lock::Lock& runtime);

/// The runtime with the wheel of one version alone.
/// @throws Error Unsupported naming the versions there are
lock::Lock with_tensorflow(lock::Lock runtime, const std::string& version);

/// The TensorFlow of a training lock: "2.9.0" of `tensorflow`, `tensorflow-cpu` or `tensorflow-gpu`.
/// @throws Error NotFound when it has none
std::string tensorflow_of(const lock::Lock& training, const std::string& file_name);

/// The same wheels on the packages that the archive offers now.
lock::Lock updated(const lock::Lock& runtime, lock::Context& context);

}  // namespace slip::model
