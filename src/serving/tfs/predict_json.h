#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "serving/tf/model.h"

namespace slip::serving {

/// How a predict request holds its tensors; the answer has the same form.
enum class JsonForm { Row, Column };

struct PredictCall {
  const Method* method = nullptr;
  std::vector<Tensor> inputs;  ///< one per port of method->inputs, in that order
  JsonForm form = JsonForm::Row;
};

/// Reads the body of `:predict` in one pass. @source TensorFlow Serving 2.9, api_rest.md and util/json_tensor.cc
Result<PredictCall> read_predict_json(const Model& model, std::string_view body);

/// Writes the answer as TensorFlow Serving does, to the byte.
/// @param outputs  one per port of method.outputs
Result<std::string> write_predict_json(const Method& method, const std::vector<Tensor>& outputs, JsonForm form);

}  // namespace slip::serving
