#pragma once

#include <optional>
#include <string>

#include "model/saved_model.h"
#include "serving/tf/signature.h"

namespace slip::model {

struct Request {
  std::string verb;  ///< "predict", "classify", "regress"
  std::string body;
  bool features;  ///< its tf.Examples have the features that the graph parses
};

/// A REST request for a signature, made of what the model says alone: small numbers and short texts in tensors of the
/// given shape, 1 where a size is open, one dimension where the rank is; where a text is parsed as a tf.Example, one
/// with the features that it is parsed for. To classify or regress where the graph does not say them, one without
/// features. The same signature gives the same request. A model may refuse it for good reasons: texts may have to be
/// encoded images, features to have values of a vocabulary.
///
/// @param parsed  of this signature, from MetaGraph::parsed
/// @return nullopt when nothing can be made: a tensor too large, or of a type that REST does not carry
/// @source TensorFlow Serving's REST interface, "inputs" in columns, "examples"
std::optional<Request> request_for(const std::string& name, const serving::Signature& signature,
                                   const ParsedInputs& parsed);

}  // namespace slip::model
