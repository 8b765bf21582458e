#include "model/requests.h"

#include <nlohmann/json.hpp>

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

Json nested(DataType type, const serving::Shape& shape, std::size_t axis, std::int64_t& n) {
  if (axis == shape.size()) {
    return *element(type, n++);
  }
  Json list = Json::array();
  for (std::int64_t i = 0; i < shape[axis]; ++i) {
    list.push_back(nested(type, shape, axis + 1, n));
  }
  return list;
}

}  // namespace

std::optional<Request> request_for(const std::string& name, const serving::Signature& signature) {
  for (const auto& [method, verb] :
       {std::pair{serving::kClassifyMethod, "classify"}, std::pair{serving::kRegressMethod, "regress"}}) {
    if (signature.method == method) {
      return Request{verb, Json{{"signature_name", name}, {"examples", Json::array({Json::object()})}}.dump()};
    }
  }
  if (signature.method != serving::kPredictMethod && !signature.method.empty()) {
    return std::nullopt;
  }
  Json inputs = Json::object();
  for (const auto& [alias, tensor] : signature.inputs) {
    serving::Shape shape = tensor.unknown_rank ? serving::Shape{1} : tensor.shape;
    for (std::int64_t& size : shape) {
      size = size < 0 ? 1 : size;
    }
    const std::int64_t count = serving::element_count(shape);
    if (count < 0 || count > kMostElements || !element(tensor.type, 0)) {
      return std::nullopt;
    }
    std::int64_t n = 0;
    inputs[alias] = nested(tensor.type, shape, 0, n);
  }
  return Request{"predict", Json{{"signature_name", name}, {"inputs", inputs}}.dump()};
}

}  // namespace slip::model
