#include <algorithm>
#include <optional>

#include "serving/tfs/warmup.h"

namespace slip::serving {
namespace {

/// The first run prepares TensorFlow's kernels; the second says how long runs take, on which later ones rely.
constexpr std::int64_t kFewestRuns = 2;
constexpr std::int64_t kMostElements = 16 << 20;

/// Zeros, or empty texts, of the shape that a signature tells, 1 where a size varies, [1] where the rank is open;
/// nullopt: the type is open, or the tensor would be large.
std::optional<Tensor> neutral_tensor(const TfApi& api, const TensorInfo& info) {
  Shape shape = info.unknown_rank ? Shape{1} : info.shape;
  std::ranges::replace(shape, std::int64_t{-1}, std::int64_t{1});
  const std::int64_t count = element_count(shape);
  const std::size_t bytes = size_of(info.type);
  if (count < 0 || count > kMostElements || (bytes == 0 && info.type != DataType::String)) {
    return std::nullopt;
  }
  TensorBuilder builder(api, info.type);
  builder.reserve(static_cast<std::size_t>(count));
  if (info.type == DataType::String) {
    for (std::int64_t i = 0; i < count; ++i) {
      builder.push_text({});
    }
  } else {
    const std::string zeros(static_cast<std::size_t>(count) * bytes, '\0');
    builder.append(zeros.data(), zeros.size());
  }
  return builder.finish(shape);
}

/// One value per input of the method; nothing when one cannot be made.
std::optional<std::vector<Tensor>> neutral_inputs(const Model& model, const Method& method) {
  std::vector<Tensor> tensors;
  for (const Port& port : method.inputs) {
    auto tensor = neutral_tensor(model.api(), port.info);
    if (!tensor) {
      return std::nullopt;
    }
    tensors.push_back(std::move(*tensor));
  }
  return tensors;
}

}  // namespace

std::size_t warm_up_signatures(const Servable& servable, std::int64_t iterations) {
  const Model& model = *servable.model;
  std::size_t ran = 0;
  for (const Method& method : model.methods()) {
    const auto tensors = neutral_inputs(model, method);
    if (!tensors) {
      continue;
    }
    std::vector<const Tensor*> inputs;
    for (const Tensor& tensor : *tensors) {
      inputs.push_back(&tensor);
    }
    for (std::int64_t i = 0; i < std::max(kFewestRuns, iterations); ++i) {
      if (!model.run(method, inputs)) {
        break;  // zeros need not be a request that the model takes, such as an empty text where an Example is read
      }
      ran += i == 0 ? 1u : 0u;
    }
  }
  return ran;
}

}  // namespace slip::serving
