#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serving/models/manager.h"
#include "serving/tf/proto_tensor.h"
#include "serving/tfs/example.h"

/// Messages of TensorFlow Serving's services. @source tensorflow_serving/apis/*.proto of 2.9
namespace slip::serving {

struct WireSpec {
  ModelSpec spec;
  std::string signature;
};
/// ModelSpec{name=1, version=2 Int64Value, version_label=4, signature_name=3}
Result<WireSpec> read_model_spec(std::string_view bytes);
void write_model_spec(WireWriter& out, std::uint32_t field, const Servable& servable, std::string_view signature);

/// A PredictRequest with its tensors still as bytes: what they are depends on the signature.
struct PredictMessage {
  WireSpec model;
  std::vector<std::pair<std::string, std::string_view>> inputs;  ///< views into the message
  std::vector<std::string> output_filter;
};
Result<PredictMessage> read_predict_message(std::string_view bytes);

struct PredictPlan {
  const Method* method = nullptr;
  std::vector<Tensor> inputs;
  std::vector<std::size_t> outputs;
};
/// Resolves a request against a loaded model. @param limit  bytes per tensor
Result<PredictPlan> plan_predict(const Model& model, const PredictMessage& message, std::size_t limit);
Result<std::string> write_predict_response(const Servable& servable, const PredictPlan& plan,
                                           const std::vector<Tensor>& outputs, TensorForm form);

/// ClassificationRequest and RegressionRequest{model_spec=1, input=2}
struct ExampleMessage {
  WireSpec model;
  std::vector<std::string> examples;
};
Result<ExampleMessage> read_example_message(std::string_view bytes);
/// Input{example_list=1, example_list_with_context=2}
Result<std::vector<std::string>> read_input(std::string_view bytes);
/// ClassificationResult, RegressionResult
WireWriter write_classification_result(const Classifications& classifications);
WireWriter write_regression_result(const std::vector<float>& values);

}  // namespace slip::serving
