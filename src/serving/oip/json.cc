#include "serving/oip/json.h"

#include <algorithm>
#include <charconv>
#include <type_traits>

#include "serving/json/out.h"
#include "serving/json/scan.h"
#include "serving/tf/json_tensor.h"

namespace slip::serving {
namespace {

/// What one pass over the JSON text of a request collects.
class OipReader {
 public:
  OipReader(const TfApi& api, std::string_view body, std::size_t json_bytes)
      : api_(api), scanner_(body.substr(0, json_bytes)), tensors_(body.substr(json_bytes)) {}
  Result<OipRequest> read();

 private:
  struct Data {
    const char* at = nullptr;                ///< of values that stand before their type and shape
    std::optional<std::uint64_t> byte_size;  ///< of a tensor behind the JSON text
    bool read = false;
  };

  bool document();
  bool parameters();
  bool inputs();
  bool input();
  bool input_member(OipInput& input, Data& data);
  bool input_parameters(Data& data);
  bool finish_input(OipInput& input, Data& data);
  bool values(OipInput& input);
  bool shape(Shape& into);
  bool outputs();
  bool output();
  bool text(std::string& into, const char* what);
  bool integer(std::int64_t& into, const char* what);
  bool boolean(bool& into, const char* what);
  bool reject(std::string message) {
    failure_ = invalid(std::move(message)).value();
    return false;
  }
  template <class Fn>
  bool members(Fn&& member);
  template <class Fn>
  bool elements(const char* what, Fn&& element);

  const TfApi& api_;
  JsonScanner scanner_;
  std::string_view tensors_;
  OipRequest request_;
  std::string key_;
  std::string scratch_;
  bool have_inputs_ = false;
  Failure failure_;
};

/// Calls member() for each member of the object at the scanner; key_ is its name.
template <class Fn>
bool OipReader::members(Fn&& member) {
  if (scanner_.peek() != '{') {
    return reject("failed to parse the request: expected an object");
  }
  return scanner_.members(key_, member);
}

template <class Fn>
bool OipReader::elements(const char* what, Fn&& element) {
  if (scanner_.peek() != '[') {
    return reject(std::string("failed to parse the request: '") + what + "' must be a list");
  }
  return scanner_.elements(element);
}

Result<OipRequest> OipReader::read() {
  if (!document()) {
    return scanner_.failed() ? invalid("failed to parse the request JSON buffer: " + scanner_.error())
                             : Result<OipRequest>(tl::unexpected(failure_));
  }
  return std::move(request_);
}

bool OipReader::document() {
  const bool done = members([&] {
    if (key_ == "id") {
      return text(request_.id, "id");
    }
    if (key_ == "parameters") {
      return parameters();
    }
    if (key_ == "inputs") {
      have_inputs_ = true;
      return inputs();
    }
    return key_ == "outputs" ? outputs() : scanner_.skip_value();
  });
  if (!done || !scanner_.at_end()) {
    return false;
  }
  if (!tensors_.empty()) {
    return reject("unexpected additional input data: " + std::to_string(tensors_.size()) + " bytes");
  }
  return have_inputs_ || reject("failed to parse the request: 'inputs' is missing");
}

bool OipReader::parameters() {
  return members([&] {
    if (key_ == "binary_data_output") {
      return boolean(request_.binary, "binary_data_output");
    }
    if (key_ == "signature_name") {
      return text(request_.signature, "signature_name");
    }
    return key_ == "timeout" ? integer(request_.timeout_us, "timeout") : scanner_.skip_value();
  });
}

bool OipReader::inputs() {
  return elements("inputs", [&] { return input(); });
}

bool OipReader::input() {
  OipInput input;
  Data data;
  return members([&] { return input_member(input, data); }) && finish_input(input, data) &&
         (request_.inputs.push_back(std::move(input)), true);
}

bool OipReader::input_member(OipInput& input, Data& data) {
  if (key_ == "name") {
    return text(input.name, "name");
  }
  if (key_ == "shape") {
    return shape(input.shape);
  }
  if (key_ == "datatype") {
    std::string name;
    if (!text(name, "datatype")) {
      return false;
    }
    input.type = oip_type_of(name);
    return input.type != DataType::Invalid || reject("unknown datatype '" + name + "'");
  }
  if (key_ == "parameters") {
    return input_parameters(data);
  }
  if (key_ != "data") {
    return scanner_.skip_value();
  }
  if (input.type == DataType::Invalid) {
    scanner_.peek();
    data.at = scanner_.position();
    return scanner_.skip_value();
  }
  data.read = true;
  return values(input);
}

bool OipReader::input_parameters(Data& data) {
  return members([&] {
    if (key_ != "binary_data_size") {
      return scanner_.skip_value();
    }
    std::int64_t size = 0;
    if (!integer(size, "binary_data_size")) {
      return false;
    }
    data.byte_size = static_cast<std::uint64_t>(size);
    return true;
  });
}

/// An input's object has ended: its values must have been there, or follow behind the JSON text.
bool OipReader::finish_input(OipInput& input, Data& data) {
  if (input.name.empty() || input.type == DataType::Invalid) {
    return reject("failed to parse the request: an input needs 'name', 'datatype' and 'shape'");
  }
  if (data.byte_size) {
    if (*data.byte_size > tensors_.size()) {
      return reject("invalid binary_data_size of input '" + input.name + "': " + std::to_string(*data.byte_size) +
                    " bytes, but only " + std::to_string(tensors_.size()) + " follow");
    }
    auto tensor = read_oip_raw(api_, input.name, input.type, input.shape, tensors_.substr(0, *data.byte_size));
    if (!tensor) {
      return reject(tensor.error().message);
    }
    tensors_.remove_prefix(*data.byte_size);
    input.tensor = std::move(*tensor);
    return true;
  }
  if (data.at != nullptr) {
    const char* end = scanner_.position();
    scanner_.rewind(data.at);
    if (!values(input)) {
      return false;
    }
    scanner_.rewind(end);
    data.read = true;
  }
  if (!data.read) {
    return reject("input '" + input.name + "' has no 'data'");
  }
  const Shape have = input.tensor.shape();
  if (have == input.shape) {
    return true;
  }
  return reject("input '" + input.name + "' has " + std::to_string(input.tensor.count()) + " values for shape " +
                to_string(input.shape));
}

/// Values nested as the shape says, or all in one list in row-major order.
bool OipReader::values(OipInput& input) {
  if (input.type == DataType::Half || input.type == DataType::BFloat16) {
    return reject("input '" + input.name + "': " + std::string(oip_name_of(input.type)) +
                  " has no form in JSON; send it as binary data");
  }
  TensorBuilder builder(api_, input.type);
  if (input.type != DataType::String) {
    const std::int64_t count = element_count(input.shape);
    // The announced size is the client's word: no more room than the text can fill, two characters a value.
    builder.reserve(std::min(scanner_.left() / 2 + 1, static_cast<std::size_t>(std::max<std::int64_t>(count, 0)) + 1));
  }
  DenseReader reader(scanner_, DenseReader::Narrow::MustFit);
  Shape given;
  if (!reader.read(builder, given)) {
    return !scanner_.failed() && reject("input '" + input.name + "': " + reader.failure().message);
  }
  const bool same_count = element_count(input.shape) == static_cast<std::int64_t>(builder.count());
  input.tensor = builder.finish(same_count ? input.shape : given);
  return true;
}

bool OipReader::shape(Shape& into) {
  into.clear();
  return elements("shape", [&] {
    if (into.size() == 254) {
      return reject("'shape' has more than 254 sizes");
    }
    return integer(into.emplace_back(), "shape");
  });
}

bool OipReader::outputs() {
  return elements("outputs", [&] { return output(); });
}

bool OipReader::output() {
  OipOutput output;
  bool classify = false;
  const bool done = members([&] {
    if (key_ == "name") {
      return text(output.name, "name");
    }
    if (key_ != "parameters") {
      return scanner_.skip_value();
    }
    return members([&] {
      bool binary = false;
      if (key_ == "binary_data") {
        const bool read = boolean(binary, "binary_data");
        output.binary = binary;
        return read;
      }
      classify |= key_ == "classification";
      return scanner_.skip_value();
    });
  });
  if (!done || classify) {
    return done ? reject("output '" + output.name + "': classification is not supported") : false;
  }
  request_.outputs.push_back(std::move(output));
  return true;
}

bool OipReader::text(std::string& into, const char* what) {
  std::string_view value;
  if (scanner_.peek() != '"') {
    return reject(std::string("failed to parse the request: '") + what + "' must be a string");
  }
  if (!scanner_.string(value, scratch_)) {
    return false;
  }
  into = value;
  return true;
}

bool OipReader::integer(std::int64_t& into, const char* what) {
  JsonNumber number;
  const char c = scanner_.peek();
  if (c != '-' && (c < '0' || c > '9')) {
    return reject(std::string("failed to parse the request: '") + what + "' must be a whole number");
  }
  if (!scanner_.number(number)) {
    return false;
  }
  if (!number.fits_int64() || number.as_int64() < 0) {
    return reject(std::string("failed to parse the request: '") + what + "' must be a whole number from 0 up");
  }
  into = number.as_int64();
  return true;
}

bool OipReader::boolean(bool& into, const char* what) {
  const char c = scanner_.peek();
  if (c != 't' && c != 'f') {
    return reject(std::string("failed to parse the request: '") + what + "' must be true or false");
  }
  into = c == 't';
  return scanner_.literal() != '\0' || scanner_.fail("Invalid value.");
}

/// The one shape that `bytes` can have; nullopt: none, or several.
std::optional<Shape> only_shape(const TensorInfo& info, std::size_t bytes) {
  Shape shape = oip_shape_of(info);
  std::vector<std::size_t> open;
  std::int64_t fixed = 1;
  for (std::size_t i = 0; i < shape.size(); ++i) {
    if (shape[i] < 0) {
      open.push_back(i);
    } else if (__builtin_mul_overflow(fixed, shape[i], &fixed)) {
      return std::nullopt;
    }
  }
  if (open.size() == 2 && open[0] == 0) {
    shape[0] = 1;
    open.erase(open.begin());
  }
  const std::size_t unit = info.type == DataType::String ? bytes : size_of(info.type);
  const std::size_t count = unit == 0 ? 1 : bytes / unit;
  if (open.size() > 1 || (info.type != DataType::String && unit == 0)) {
    return std::nullopt;
  }
  if (open.size() == 1) {
    if (fixed == 0 || count % static_cast<std::size_t>(fixed) != 0) {
      return std::nullopt;
    }
    shape[open[0]] = static_cast<std::int64_t>(count) / fixed;
  }
  return shape;
}

void append_number(std::string& out, double value, char* buffer, char* end) {
  if (value != value || value - value != 0) {
    out += value != value ? "NaN" : (value < 0 ? "-Infinity" : "Infinity");
    return;
  }
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out += text;
  if (text.find_first_of(".e") == std::string_view::npos) {
    out += ".0";
  }
}

template <class T>
void append_values(std::string& out, const Tensor& tensor) {
  const T* values = tensor.as<T>();
  const std::int64_t count = tensor.count();
  char buffer[40];
  for (std::int64_t i = 0; i < count; ++i) {
    if (i > 0) {
      out.push_back(',');
    }
    char* end = std::to_chars(buffer, buffer + sizeof buffer, values[i]).ptr;
    if constexpr (std::is_floating_point_v<T>) {
      append_number(out, static_cast<double>(values[i]), buffer, end);
    } else {
      out.append(buffer, end);
    }
  }
}

/// Values in one list, row-major; false: JSON has no form for the type.
bool append_data(std::string& out, const Tensor& tensor) {
  switch (static_cast<int>(tensor.type())) {
    case static_cast<int>(DataType::Float): append_values<float>(out, tensor); return true;
    case static_cast<int>(DataType::Double): append_values<double>(out, tensor); return true;
    case static_cast<int>(DataType::Int8): append_values<std::int8_t>(out, tensor); return true;
    case static_cast<int>(DataType::Int16): append_values<std::int16_t>(out, tensor); return true;
    case static_cast<int>(DataType::Int32): append_values<std::int32_t>(out, tensor); return true;
    case static_cast<int>(DataType::Int64): append_values<std::int64_t>(out, tensor); return true;
    case static_cast<int>(DataType::UInt8): append_values<std::uint8_t>(out, tensor); return true;
    case static_cast<int>(DataType::UInt16): append_values<std::uint16_t>(out, tensor); return true;
    case static_cast<int>(DataType::UInt32): append_values<std::uint32_t>(out, tensor); return true;
    case static_cast<int>(DataType::UInt64): append_values<std::uint64_t>(out, tensor); return true;
    case static_cast<int>(DataType::Bool):
      for (std::int64_t i = 0; i < tensor.count(); ++i) {
        out += i > 0 ? "," : "";
        out += tensor.as<bool>()[i] ? "true" : "false";
      }
      return true;
    case static_cast<int>(DataType::String):
      for (std::int64_t i = 0; i < tensor.count(); ++i) {
        out += i > 0 ? "," : "";
        append_json_string(out, tensor.text(i));
      }
      return true;
    default: return false;
  }
}

}  // namespace

Result<OipRequest> read_oip_json(const TfApi& api, std::string_view body, std::size_t json_bytes) {
  return OipReader(api, body, json_bytes).read();
}

Result<OipRequest> read_oip_raw_body(const Servable& servable, std::string_view body) {
  const Method* method = servable.model->method({});
  if (method == nullptr || method->inputs.size() != 1) {
    return invalid("a request of one tensor needs a model with exactly one input");
  }
  const Port& port = method->inputs[0];
  const auto shape = only_shape(port.info, body.size());
  if (!shape) {
    return invalid("the shape " + to_string(port.info.shape) + " of input '" + port.name +
                   "' does not follow from the size of the request");
  }
  OipRequest request;
  request.binary = request.raw_input = true;
  request.inputs.push_back({port.name, port.info.type, *shape, {}});
  std::string prefixed;
  if (port.info.type == DataType::String) {  // the body is the text itself
    const auto size = static_cast<std::uint32_t>(body.size());
    prefixed.assign(reinterpret_cast<const char*>(&size), sizeof size).append(body);
    body = prefixed;
  }
  auto tensor = read_oip_raw(servable.model->api(), port.name, port.info.type, *shape, body);
  if (!tensor) {
    return tl::unexpected(tensor.error());
  }
  request.inputs[0].tensor = std::move(*tensor);
  return request;
}

Result<OipAnswer> write_oip_json(const Servable& servable, const OipRequest& request, const OipPlan& plan,
                                 const std::vector<Tensor>& outputs) {
  std::string json = "{\"model_name\":";
  append_json_string(json, servable.name);
  json += ",\"model_version\":\"" + std::to_string(servable.version) + "\"";
  if (!request.id.empty()) {
    json += ",\"id\":";
    append_json_string(json, request.id);
  }
  json += ",\"outputs\":[";
  std::string tensors;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Tensor& tensor = outputs[i];
    const std::string& name = plan.method->outputs[plan.outputs[i]].name;
    const std::string_view type = oip_name_of(tensor.type());
    if (type.empty()) {
      return fail(Code::Unimplemented,
                  "output '" + name + "' has type " + name_of(tensor.type()) + ", which the protocol does not have");
    }
    json += i > 0 ? ",{\"name\":" : "{\"name\":";
    append_json_string(json, name);
    json += ",\"datatype\":\"" + std::string(type) + "\",\"shape\":" + to_string(tensor.shape());
    const bool binary = request.outputs.empty() ? request.binary : request.outputs[i].binary.value_or(request.binary);
    if (binary) {
      const std::size_t before = tensors.size();
      append_oip_raw(tensors, tensor);
      json += ",\"parameters\":{\"binary_data_size\":" + std::to_string(tensors.size() - before) + "}}";
      continue;
    }
    json += ",\"data\":[";
    if (!append_data(json, tensor)) {
      return invalid("output '" + name + "': " + std::string(type) + " has no form in JSON; ask for it as binary data");
    }
    json += "]}";
  }
  json += "]}";
  OipAnswer answer{std::move(json), 0};
  answer.json_bytes = answer.body.size();
  answer.body += tensors;
  return answer;
}

}  // namespace slip::serving
