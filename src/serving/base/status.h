#pragma once

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace slip::serving {

/// The canonical codes of gRPC; TensorFlow's C API uses the same numbers.
/// @source grpc/doc/statuscodes.md; tensorflow/c/tf_status.h
enum class Code {
  Ok = 0,
  Cancelled = 1,
  Unknown = 2,
  InvalidArgument = 3,
  DeadlineExceeded = 4,
  NotFound = 5,
  AlreadyExists = 6,
  PermissionDenied = 7,
  ResourceExhausted = 8,
  FailedPrecondition = 9,
  Aborted = 10,
  OutOfRange = 11,
  Unimplemented = 12,
  Internal = 13,
  Unavailable = 14,
  DataLoss = 15,
  Unauthenticated = 16,
};

/// "INVALID_ARGUMENT": as error texts, metrics and model status spell it.
const char* name_of(Code code) noexcept;
/// The HTTP status that TensorFlow Serving answers with.
int http_status(Code code) noexcept;

/// How a request failed; the text goes to the client as it is.
struct Failure {
  Code code = Code::Unknown;
  std::string message;
};

/// "INVALID_ARGUMENT: text".
std::string to_string(const Failure& failure);

/// The answer of the data plane, which throws nothing.
template <class T>
using Result = tl::expected<T, Failure>;

inline tl::unexpected<Failure> fail(Code code, std::string message) {
  return tl::unexpected<Failure>(Failure{code, std::move(message)});
}
inline tl::unexpected<Failure> invalid(std::string message) { return fail(Code::InvalidArgument, std::move(message)); }

}  // namespace slip::serving
