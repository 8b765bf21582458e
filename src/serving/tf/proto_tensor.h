#pragma once

#include <string_view>

#include "serving/base/status.h"
#include "serving/proto/wire.h"
#include "serving/tf/tensor.h"

namespace slip::serving {

/// How tensors are written: typed repeated fields, which clients of TensorFlow Serving read by name, or their bytes.
enum class TensorForm { Typed, Content };

/// Reads a TensorProto straight into tensor memory. Fewer values than elements: the last one fills up, as in
/// TensorFlow. @param limit  bytes of the tensor at most
/// @source tensorflow/core/framework/tensor.proto, tensor.cc (Tensor::FromProto)
Result<Tensor> read_tensor_proto(const TfApi& api, std::string_view bytes, std::size_t limit);

/// Appends `tensor` as field `field` of a message.
Result<void> write_tensor_proto(WireWriter& out, std::uint32_t field, const Tensor& tensor, TensorForm form);

}  // namespace slip::serving
