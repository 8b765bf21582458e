#include "serving/oip/oip.h"

#include <algorithm>
#include <cstring>

namespace slip::serving {
namespace {

struct Row {
  DataType type;
  std::string_view name;
  std::string_view config_name;
};
/// In the order of Triton's numbers, which begin at 1. @source triton model_config.proto
constexpr Row kRows[] = {
    {DataType::Bool, "BOOL", "TYPE_BOOL"},       {DataType::UInt8, "UINT8", "TYPE_UINT8"},
    {DataType::UInt16, "UINT16", "TYPE_UINT16"}, {DataType::UInt32, "UINT32", "TYPE_UINT32"},
    {DataType::UInt64, "UINT64", "TYPE_UINT64"}, {DataType::Int8, "INT8", "TYPE_INT8"},
    {DataType::Int16, "INT16", "TYPE_INT16"},    {DataType::Int32, "INT32", "TYPE_INT32"},
    {DataType::Int64, "INT64", "TYPE_INT64"},    {DataType::Half, "FP16", "TYPE_FP16"},
    {DataType::Float, "FP32", "TYPE_FP32"},      {DataType::Double, "FP64", "TYPE_FP64"},
    {DataType::String, "BYTES", "TYPE_STRING"},  {DataType::BFloat16, "BF16", "TYPE_BF16"},
};

/// "[-1,3]": what the signature asks for.
bool fits(const Shape& shape, const TensorInfo& info) {
  if (info.unknown_rank) {
    return true;
  }
  return std::ranges::equal(shape, info.shape,
                            [](std::int64_t given, std::int64_t wanted) { return wanted < 0 || given == wanted; });
}

Result<void> check_input(const OipInput& input, const Port& port, const std::string& model) {
  if (input.type != port.info.type) {
    return invalid("inference input '" + input.name + "' data-type is '" + std::string(oip_name_of(input.type)) +
                   "', but model '" + model + "' expects '" + std::string(oip_name_of(port.info.type)) + "'");
  }
  if (!fits(input.shape, port.info)) {
    return invalid("unexpected shape for input '" + input.name + "' for model '" + model + "'. Expected " +
                   to_string(port.info.shape) + ", got " + to_string(input.shape));
  }
  return {};
}

Result<void> take_inputs(OipRequest& request, RunCall& call) {
  const std::string& model = call.servable->name;
  const auto& ports = call.method->inputs;
  if (request.inputs.size() != ports.size()) {
    return invalid("expected " + std::to_string(ports.size()) + " inputs but got " +
                   std::to_string(request.inputs.size()) + " inputs for model '" + model + "'");
  }
  call.inputs.resize(ports.size());
  for (OipInput& input : request.inputs) {
    const int port = Method::find(ports, input.name);
    if (port < 0) {
      return invalid("unexpected inference input '" + input.name + "' for model '" + model + "'");
    }
    Tensor& into = call.inputs[static_cast<std::size_t>(port)];
    if (!into.empty()) {
      return invalid("input '" + input.name + "' already exists in request for model '" + model + "'");
    }
    if (auto checked = check_input(input, ports[static_cast<std::size_t>(port)], model); !checked) {
      return checked;
    }
    into = std::move(input.tensor);
  }
  return {};
}

Result<Tensor> read_texts(const TfApi& api, const std::string& name, const Shape& shape, std::int64_t count,
                          std::string_view bytes) {
  TensorBuilder builder(api, DataType::String);
  while (!bytes.empty()) {
    std::uint32_t size = 0;
    if (bytes.size() < sizeof size) {
      return invalid("incomplete string length for input '" + name + "'");
    }
    std::memcpy(&size, bytes.data(), sizeof size);
    bytes.remove_prefix(sizeof size);
    if (size > bytes.size()) {
      return invalid("incomplete string data for input '" + name + "', expecting string of length " +
                     std::to_string(size) + " but only " + std::to_string(bytes.size()) + " bytes available");
    }
    builder.push_text(bytes.substr(0, size));
    bytes.remove_prefix(size);
  }
  if (static_cast<std::int64_t>(builder.count()) != count) {
    return invalid("unexpected number of string elements " + std::to_string(builder.count()) + " for input '" + name +
                   "', expecting " + std::to_string(count));
  }
  return builder.finish(shape);
}

}  // namespace

OipConfigType oip_config_type_of(DataType type) noexcept {
  const auto* row = std::ranges::find(kRows, type, &Row::type);
  return row == std::end(kRows) ? OipConfigType{"TYPE_INVALID", 0}
                                : OipConfigType{row->config_name, static_cast<std::uint32_t>(row - kRows + 1)};
}

Failure oip_missing(const ModelSpec& spec) {
  return {Code::NotFound, "Request for unknown model: '" + spec.name + "'" +
                              (spec.version ? " version " + std::to_string(*spec.version) : std::string()) +
                              " is not found"};
}

Result<std::vector<ServableRef>> oip_counted(const Manager& manager, const ModelSpec& spec) {
  auto found = manager.serving(spec.name, spec.version);
  if (found.empty() && !spec.name.empty()) {
    return tl::unexpected(oip_missing(spec));
  }
  return found;
}

std::string_view oip_name_of(DataType type) noexcept {
  const auto* row = std::ranges::find(kRows, type, &Row::type);
  return row == std::end(kRows) ? std::string_view{} : row->name;
}

DataType oip_type_of(std::string_view name) noexcept {
  const auto* row = std::ranges::find(kRows, name, &Row::name);
  return row == std::end(kRows) ? DataType::Invalid : row->type;
}

Shape oip_shape_of(const TensorInfo& info) { return info.unknown_rank ? Shape{-1} : info.shape; }

Result<OipPlan> plan_oip(OipRequest& request, RunCall& call) {
  OipPlan plan;
  plan.method = call.method = call.servable->model->method(request.signature);
  if (plan.method == nullptr) {
    return invalid("model '" + call.servable->name + "' has no signature '" +
                   (request.signature.empty() ? std::string(kDefaultSignature) : request.signature) + "'");
  }
  if (auto taken = take_inputs(request, call); !taken) {
    return tl::unexpected(taken.error());
  }
  for (const OipOutput& output : request.outputs) {
    const int port = Method::find(plan.method->outputs, output.name);
    if (port < 0) {
      return invalid("unexpected inference output '" + output.name + "' for model '" + call.servable->name + "'");
    }
    if (std::ranges::find(plan.outputs, static_cast<std::size_t>(port)) != plan.outputs.end()) {
      return invalid("output '" + output.name + "' is requested twice");
    }
    plan.outputs.push_back(static_cast<std::size_t>(port));
  }
  for (std::size_t i = 0; request.outputs.empty() && i < plan.method->outputs.size(); ++i) {
    plan.outputs.push_back(i);
  }
  call.outputs = plan.outputs;
  if (request.timeout_us > 0) {
    call.deadline = std::min(call.deadline, Clock::now() + std::chrono::microseconds(request.timeout_us));
  }
  return plan;
}

Result<Tensor> read_oip_raw(const TfApi& api, const std::string& name, DataType type, const Shape& shape,
                            std::string_view bytes) {
  const std::int64_t count = element_count(shape);
  if (count < 0) {
    return invalid("input '" + name + "' has shape " + to_string(shape) + ", which is too large or negative");
  }
  if (type == DataType::String) {
    return read_texts(api, name, shape, count, bytes);
  }
  const std::size_t unit = size_of(type);
  if (static_cast<std::uint64_t>(count) > bytes.size() / unit ||
      bytes.size() != static_cast<std::size_t>(count) * unit) {
    return invalid("unexpected total byte size " + std::to_string(bytes.size()) + " for input '" + name +
                   "', expecting " + std::to_string(count) + " elements of " + std::to_string(unit) + " bytes");
  }
  TensorBuilder builder(api, type);
  if (type == DataType::Bool) {
    builder.reserve(bytes.size());
    for (const char byte : bytes) {
      builder.push(byte != 0);  // any other byte in a bool's memory would be undefined behaviour in TensorFlow
    }
  } else {
    builder.append(bytes.data(), bytes.size());
  }
  return builder.finish(shape);
}

void append_oip_raw(std::string& out, const Tensor& tensor) {
  if (tensor.type() != DataType::String) {
    out.append(static_cast<const char*>(tensor.data()), tensor.byte_size());
    return;
  }
  for (std::int64_t i = 0; i < tensor.count(); ++i) {
    const std::string_view text = tensor.text(i);
    const auto size = static_cast<std::uint32_t>(text.size());
    out.append(reinterpret_cast<const char*>(&size), sizeof size);
    out.append(text);
  }
}

}  // namespace slip::serving
