#pragma once

#include <optional>
#include <string>

#include "serving/tf/signature.h"

namespace slip::model {

struct Request {
  std::string verb;  ///< "predict", "classify", "regress"
  std::string body;
};

/// A REST request for a signature, made of what the signature says alone: small numbers and short texts in tensors of
/// the given shape, 1 where a size is open, one dimension where the rank is; to classify or regress, one tf.Example
/// without features. The same signature gives the same request. A model may refuse it for good reasons: texts may have
/// to be encoded images, examples to have features.
///
/// @return nullopt when nothing can be made: a tensor too large, or of a type that REST does not carry
/// @source TensorFlow Serving's REST interface, "inputs" in columns, "examples"
std::optional<Request> request_for(const std::string& name, const serving::Signature& signature);

}  // namespace slip::model
