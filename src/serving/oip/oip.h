#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serving/models/executor.h"
#include "serving/models/manager.h"

/// The Open Inference Protocol v2, as Triton and KServe speak it: what REST and gRPC have in common.
/// @source kserve/open-inference-protocol; triton-inference-server/server docs/protocol/extension_binary_data.md
namespace slip::serving {

inline constexpr std::string_view kOipPlatform = "tensorflow_savedmodel";
inline constexpr std::string_view kOipExtensions[] = {"binary_tensor_data", "model_repository", "statistics"};

/// Model not found in Triton's words.
Failure oip_missing(const ModelSpec& spec);

/// Whose statistics are asked for: all versions of all models, of one, or one. @param spec  its name may be empty
Result<std::vector<ServableRef>> oip_counted(const Manager& manager, const ModelSpec& spec);

/// "FP32"; empty for types that the protocol does not have.
std::string_view oip_name_of(DataType type) noexcept;
/// A type in Triton's model configuration: "TYPE_FP32" and its number; TYPE_INVALID, 0 for types it does not have.
struct OipConfigType {
  std::string_view name;
  std::uint32_t number;
};
OipConfigType oip_config_type_of(DataType type) noexcept;
/// Invalid: no such name.
DataType oip_type_of(std::string_view name) noexcept;

/// One input, its values in tensor memory.
struct OipInput {
  std::string name;
  DataType type = DataType::Invalid;
  Shape shape;
  Tensor tensor;
};

/// One output that a request asks for.
struct OipOutput {
  std::string name;
  std::optional<bool> binary;  ///< REST: its bytes behind the JSON text; nullopt: as the request says for all
};

struct OipRequest {
  std::string id;
  std::string signature;  ///< parameter `signature_name`, our extension; empty: serving_default
  std::vector<OipInput> inputs;
  std::vector<OipOutput> outputs;  ///< empty: all
  bool binary = false;             ///< outputs that do not say go as bytes
  bool raw_input = false;          ///< REST: the body is one tensor and nothing else
  std::int64_t timeout_us = 0;     ///< parameter `timeout`; 0: none
};

/// A request resolved against a loaded model.
struct OipPlan {
  const Method* method = nullptr;
  std::vector<std::size_t> outputs;  ///< indexes into method->outputs
};
/// Checks names, types and shapes, and moves the tensors into `call`: its method, inputs, outputs and deadline.
Result<OipPlan> plan_oip(OipRequest& request, RunCall& call);

/// Tensor of `shape` whose bytes, or texts behind their lengths, are `bytes`.
Result<Tensor> read_oip_raw(const TfApi& api, const std::string& name, DataType type, const Shape& shape,
                            std::string_view bytes);
/// Appends a tensor's bytes, or its texts behind their lengths.
void append_oip_raw(std::string& out, const Tensor& tensor);

/// What describes an input or output of a signature: its name in the protocol and -1 for sizes that vary.
Shape oip_shape_of(const TensorInfo& info);

}  // namespace slip::serving
