#pragma once

#include <string>
#include <string_view>

#include "serving/oip/oip.h"

namespace slip::serving {

/// Reads the body of an `/infer` request.
/// @param json_bytes  how much of the body is JSON text (header Inference-Header-Content-Length); tensors follow it
Result<OipRequest> read_oip_json(const TfApi& api, std::string_view body, std::size_t json_bytes);

/// The request that a body is which holds one tensor and no JSON (header value 0): the model's only input, batch 1,
/// at most one size that varies.
Result<OipRequest> read_oip_raw_body(const Servable& servable, std::string_view body);

struct OipAnswer {
  std::string body;
  std::size_t json_bytes = 0;  ///< less than the body's size: tensors follow
};
/// @param outputs  one per entry of plan.outputs
Result<OipAnswer> write_oip_json(const Servable& servable, const OipRequest& request, const OipPlan& plan,
                                 const std::vector<Tensor>& outputs);

}  // namespace slip::serving
