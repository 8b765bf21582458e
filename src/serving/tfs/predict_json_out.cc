#include <string>

#include "serving/json/out.h"
#include "serving/json/scan.h"
#include "serving/tfs/predict_json.h"

namespace slip::serving {
namespace {

/// Walks one output tensor in the order of its elements.
class TensorOut {
 public:
  TensorOut(const std::string& alias, const Tensor& tensor)
      : tensor_(tensor), shape_(tensor.shape()), type_(tensor.type()), base64_(alias.ends_with("_bytes")) {}

  [[nodiscard]] const Shape& shape() const noexcept { return shape_; }
  bool write(JsonOut& out, std::size_t dimension) {
    if (dimension >= shape_.size()) {
      return element(out);
    }
    out.begin_array();
    if (dimension + 1 == shape_.size() && (type_ == DataType::Float || type_ == DataType::Double)) {
      innermost(out, shape_[dimension]);
      out.end_array();
      return true;
    }
    for (std::int64_t i = 0; i < shape_[dimension]; ++i) {
      if (!write(out, dimension + 1)) {
        return false;
      }
    }
    out.end_array();
    return true;
  }

 private:
  void innermost(JsonOut& out, std::int64_t count) {
    if (type_ == DataType::Float) {
      out.decimals(tensor_.as<float>() + next_, static_cast<std::size_t>(count));
    } else {
      out.decimals(tensor_.as<double>() + next_, static_cast<std::size_t>(count));
    }
    next_ += count;
  }
  template <class T>
  T next() noexcept {
    return tensor_.as<T>()[next_++];
  }
  bool element(JsonOut& out) {
    switch (static_cast<int>(type_)) {
      case static_cast<int>(DataType::Float): out.decimal(next<float>()); return true;
      case static_cast<int>(DataType::Double): out.decimal(next<double>()); return true;
      case static_cast<int>(DataType::Int32): out.number(std::int64_t{next<std::int32_t>()}); return true;
      case static_cast<int>(DataType::Int16): out.number(std::int64_t{next<std::int16_t>()}); return true;
      case static_cast<int>(DataType::Int8): out.number(std::int64_t{next<std::int8_t>()}); return true;
      case static_cast<int>(DataType::UInt8): out.number(std::int64_t{next<std::uint8_t>()}); return true;
      case static_cast<int>(DataType::Int64): out.number(next<std::int64_t>()); return true;
      case static_cast<int>(DataType::UInt32): out.number(std::uint64_t{next<std::uint32_t>()}); return true;
      case static_cast<int>(DataType::UInt64): out.number(next<std::uint64_t>()); return true;
      case static_cast<int>(DataType::Bool): out.boolean(next<bool>()); return true;
      case static_cast<int>(DataType::String): text(out); return true;
      default: return false;
    }
  }
  void text(JsonOut& out) {
    const auto value = tensor_.text(next_++);
    if (!base64_) {
      out.string(value);
      return;
    }
    out.begin_object();
    out.key("b64");
    out.string(encode_base64(value));
    out.end_object();
  }

  const Tensor& tensor_;
  Shape shape_;
  DataType type_;
  bool base64_;
  std::int64_t next_ = 0;
};

tl::unexpected<Failure> no_json_for(const Tensor& tensor) {
  return invalid(std::string("Failed to write JSON value for tensor type: ") + name_of(tensor.type()));
}

Result<std::int64_t> batch_size(const Method& method, const std::vector<TensorOut>& outputs) {
  std::int64_t rows = -1;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const Shape& shape = outputs[i].shape();
    if (shape.empty()) {
      return invalid("Tensor name: " + method.outputs[i].name + " has no shape information ");
    }
    if (rows >= 0 && rows != shape[0]) {
      return invalid("Tensor name: " + method.outputs[i].name + " has inconsistent batch size: " +
                     std::to_string(shape[0]) + " expecting: " + std::to_string(rows));
    }
    rows = shape[0];
  }
  return rows;
}

Result<std::string> write_rows(const Method& method, const std::vector<Tensor>& tensors,
                               std::vector<TensorOut>& outputs) {
  const auto rows = batch_size(method, outputs);
  if (!rows) {
    return tl::unexpected(rows.error());
  }
  JsonOut out;
  out.begin_object();
  out.key("predictions");
  out.begin_array();
  const bool objects = outputs.size() > 1;
  for (std::int64_t row = 0; row < *rows; ++row) {
    if (objects) {
      out.begin_object();
    }
    out.single_line(true);
    for (std::size_t i = 0; i < outputs.size(); ++i) {
      if (objects) {
        out.key(method.outputs[i].name);
      }
      if (!outputs[i].write(out, 1)) {
        return no_json_for(tensors[i]);
      }
    }
    out.single_line(false);
    if (objects) {
      out.end_object();
    }
  }
  out.end_array();
  out.end_object();
  return out.take();
}

Result<std::string> write_columns(const Method& method, const std::vector<Tensor>& tensors,
                                  std::vector<TensorOut>& outputs) {
  JsonOut out;
  out.begin_object();
  out.key("outputs");
  const bool objects = outputs.size() > 1;
  if (objects) {
    out.begin_object();
  }
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (objects) {
      out.key(method.outputs[i].name);
    }
    if (!outputs[i].write(out, 0)) {
      return no_json_for(tensors[i]);
    }
  }
  if (objects) {
    out.end_object();
  }
  out.end_object();
  return out.take();
}

}  // namespace

Result<std::string> write_predict_json(const Method& method, const std::vector<Tensor>& tensors, JsonForm form) {
  if (tensors.empty()) {
    return invalid("Cannot convert empty tensor map to JSON");
  }
  std::vector<TensorOut> outputs;
  for (std::size_t i = 0; i < tensors.size(); ++i) {
    outputs.emplace_back(method.outputs[i].name, tensors[i]);
  }
  return form == JsonForm::Row ? write_rows(method, tensors, outputs) : write_columns(method, tensors, outputs);
}

}  // namespace slip::serving
