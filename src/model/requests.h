#pragma once

#include <optional>
#include <string>

#include "serving/signature.h"

namespace slip::model {

/// A REST request for a signature, made of what the signature says alone: small numbers in tensors of the given shape,
/// 1 where a size is open, one dimension where the rank is. The same signature gives the same request.
///
/// @return nullopt when nothing sensible can be made: a tensor of text, whose content no signature tells (serialised
///         examples, encoded images), of an unknown rank, or of a type that REST does not carry
/// @source TensorFlow Serving's REST interface, "inputs" in columns
std::optional<std::string> request_for(const std::string& name, const serving::Signature& signature);

}  // namespace slip::model
