#pragma once

#include <string>
#include <string_view>

#include "serving/oip/oip.h"
#include "serving/proto/wire.h"

/// Messages of inference.GRPCInferenceService. @source kserve/open-inference-protocol, grpc_predict_v2.proto
namespace slip::serving {

/// A ModelInferRequest.
struct OipMessage {
  ModelSpec spec;
  OipRequest request;
  bool raw = false;  ///< its tensors came as raw_input_contents, and so the answer's shall go
};
Result<OipMessage> read_oip_message(const TfApi& api, std::string_view bytes);
/// The model that a ModelInferRequest, ModelReadyRequest or ModelMetadataRequest names (fields 1 and 2).
Result<ModelSpec> read_oip_spec(std::string_view bytes);

/// A ModelInferResponse. @param outputs  one per entry of plan.outputs
Result<std::string> write_oip_message(const Servable& servable, const OipMessage& message, const OipPlan& plan,
                                      const std::vector<Tensor>& outputs);

}  // namespace slip::serving
