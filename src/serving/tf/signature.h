#pragma once

#include <map>
#include <string>
#include <string_view>

#include "serving/base/status.h"
#include "serving/tf/types.h"

namespace slip::serving {

/// One named input or output of a signature.
struct TensorInfo {
  std::string name;  ///< "Placeholder:0" in the graph; empty for sparse and composite tensors
  DataType type = DataType::Invalid;
  Shape shape;  ///< -1: any size
  bool unknown_rank = false;
};

/// One way to call a SavedModel.
struct Signature {
  std::map<std::string, TensorInfo> inputs;
  std::map<std::string, TensorInfo> outputs;
  std::string method;  ///< "tensorflow/serving/predict"
};

using Signatures = std::map<std::string, Signature>;

inline constexpr std::string_view kDefaultSignature = "serving_default";
inline constexpr std::string_view kClassifyMethod = "tensorflow/serving/classify";
inline constexpr std::string_view kRegressMethod = "tensorflow/serving/regress";
inline constexpr std::string_view kPredictMethod = "tensorflow/serving/predict";

/// The signatures of a MetaGraphDef; its graph is skipped.
/// @source tensorflow/core/protobuf/meta_graph.proto, field numbers 5 (signature_def), SignatureDef 1, 2, 3,
///         TensorInfo 1, 2, 3; tensor_shape.proto 2, 3
Result<Signatures> read_signatures(std::string_view meta_graph_def);

/// `signature` as SignatureDef bytes, for GetModelMetadata.
std::string to_wire(const Signature& signature);

}  // namespace slip::serving
