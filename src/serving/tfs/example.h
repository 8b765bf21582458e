#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/tf/model.h"

namespace slip::serving {

/// The body of `:classify` and `:regress`: each example as tf.Example bytes, context included.
struct ExampleCall {
  std::string signature;
  std::vector<std::string> examples;
};
/// @source TensorFlow Serving 2.9, api_rest.md; tensorflow/core/example/{example,feature}.proto
Result<ExampleCall> read_examples_json(std::string_view body);

/// Per example its classes with their scores.
using Classifications = std::vector<std::vector<std::pair<std::string, float>>>;

/// The signature to classify (kClassifyMethod) or regress (kRegressMethod) with.
Result<const Method*> example_method(const Model& model, std::string_view signature, std::string_view kind);
/// The single input of such a signature.
Tensor example_tensor(const TfApi& api, const std::vector<std::string>& examples);
/// @param outputs  of `method`, in its order
Result<Classifications> to_classifications(const Method& method, const std::vector<Tensor>& outputs, std::size_t count);
Result<std::vector<float>> to_regressions(const Method& method, const std::vector<Tensor>& outputs, std::size_t count);

std::string write_classifications_json(const Classifications& classifications);
std::string write_regressions_json(const std::vector<float>& values);

}  // namespace slip::serving
