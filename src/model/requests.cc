#include "model/requests.h"

#include <nlohmann/json.hpp>

#include "codec/base64.h"
#include "serving/proto/wire.h"

namespace slip::model {
namespace {

using Json = nlohmann::json;
using serving::DataType;

constexpr std::int64_t kMostElements = 4 << 20;

/// The n-th element: small, so that ids stay in their vocabulary, and not all the same.
std::optional<Json> element(DataType type, std::int64_t n) {
  switch (type) {
    case DataType::Float:
    case DataType::Double:
    case DataType::Half:
    case DataType::BFloat16: return Json(static_cast<double>(n % 8) / 8.0);
    case DataType::Int8:
    case DataType::Int16:
    case DataType::Int32:
    case DataType::Int64:
    case DataType::UInt8:
    case DataType::UInt16:
    case DataType::UInt32:
    case DataType::UInt64: return Json(n % 2);
    case DataType::Bool: return Json(n % 2 == 1);
    case DataType::String: return Json(n % 2 == 0 ? "a text" : "text");
    case DataType::Invalid:
    case DataType::Complex64:
    case DataType::Complex128:
    case DataType::Resource:
    case DataType::Variant: return std::nullopt;
  }
  return std::nullopt;
}

/// How many values of a feature an example gets; negative when there is no such number.
std::int64_t values_of(const Feature& feature) {
  std::int64_t count = 1;
  for (const std::int64_t size : feature.shape) {
    count = size < 0 ? count : serving::element_count({count, size});
  }
  return count;
}

/// One tf.Example as REST writes it in `examples`: a value, or a list of them.
std::optional<Json> example_of(const std::vector<Feature>& features) {
  Json example = Json::object();
  std::int64_t all = 0;
  for (const Feature& feature : features) {
    const std::int64_t count = values_of(feature);
    all += count;
    if (count < 0 || count > kMostElements || all > kMostElements) {
      return std::nullopt;
    }
    Json values = Json::array();
    for (std::int64_t n = 0; n < count; ++n) {
      values.push_back(*element(feature.type, n));
    }
    example[feature.name] = count == 1 ? values.front() : values;
  }
  return example;
}

/// The same as bytes. @source tensorflow/core/example/example.proto, feature.proto
std::string serialized(const Json& example) {
  serving::WireWriter features;
  for (const auto& [name, values] : example.items()) {
    serving::WireWriter list;
    std::uint32_t kind = 1;
    for (const Json& value : values.is_array() ? values : Json::array({values})) {
      if (value.is_string()) {
        list.bytes(1, value.get<std::string>());
      } else if (value.is_number_float()) {
        kind = 2;
        list.fixed32(1, value.get<float>());
      } else {
        kind = 3;
        list.varint(1, value.get<std::uint64_t>());
      }
    }
    serving::WireWriter feature;
    feature.message(kind, list);
    serving::WireWriter entry;
    entry.bytes(1, name);
    entry.message(2, feature);
    features.message(1, entry);
  }
  serving::WireWriter message;
  message.message(1, features);
  return message.take();
}

/// A tensor as nested lists; `made(n)` is its n-th element.
template <class Made>
Json nested(const serving::Shape& shape, std::size_t axis, std::int64_t& n, const Made& made) {
  if (axis == shape.size()) {
    return made(n++);
  }
  Json list = Json::array();
  for (std::int64_t i = 0; i < shape[axis]; ++i) {
    list.push_back(nested(shape, axis + 1, n, made));
  }
  return list;
}

/// The tensor of one input; nullopt when it cannot be made.
std::optional<Json> tensor_for(const serving::TensorInfo& tensor, const std::optional<Json>& example) {
  serving::Shape shape = tensor.unknown_rank ? serving::Shape{1} : tensor.shape;
  for (std::int64_t& size : shape) {
    size = size < 0 ? 1 : size;
  }
  const std::int64_t count = serving::element_count(shape);
  if (count < 0 || count > kMostElements || !element(tensor.type, 0)) {
    return std::nullopt;
  }
  const Json bytes = example ? Json{{"b64", codec::base64(serialized(*example))}} : Json();
  std::int64_t n = 0;
  return nested(shape, 0, n, [&](std::int64_t at) { return example ? bytes : *element(tensor.type, at); });
}

}  // namespace

std::optional<Request> request_for(const std::string& name, const serving::Signature& signature,
                                   const ParsedInputs& parsed) {
  const auto example_for = [&](const std::string& alias) {
    const auto features = parsed.find(alias);
    return features == parsed.end() ? std::nullopt : example_of(features->second);
  };
  for (const auto& [method, verb] :
       {std::pair{serving::kClassifyMethod, "classify"}, std::pair{serving::kRegressMethod, "regress"}}) {
    if (signature.method == method) {
      const auto example = signature.inputs.empty() ? std::nullopt : example_for(signature.inputs.begin()->first);
      const Json body = {{"signature_name", name}, {"examples", Json::array({example.value_or(Json::object())})}};
      return Request{verb, body.dump(), example.has_value()};
    }
  }
  if (signature.method != serving::kPredictMethod && !signature.method.empty()) {
    return std::nullopt;
  }
  Json inputs = Json::object();
  for (const auto& [alias, tensor] : signature.inputs) {
    const auto made = tensor_for(tensor, example_for(alias));
    if (!made) {
      return std::nullopt;
    }
    inputs[alias] = *made;
  }
  return Request{"predict", Json{{"signature_name", name}, {"inputs", inputs}}.dump(), !parsed.empty()};
}

}  // namespace slip::model
