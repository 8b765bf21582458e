#include "serving/tfs/example.h"

#include "serving/json/out.h"

namespace slip::serving {

Result<const Method*> example_method(const Model& model, std::string_view signature, std::string_view kind) {
  const Method* method = model.method(signature);
  if (method == nullptr) {
    return invalid("No signature was found with the name: " +
                   std::string(signature.empty() ? kDefaultSignature : signature));
  }
  if (method->kind != kind) {
    return invalid("Expected " + std::string(kind == kClassifyMethod ? "classification" : "regression") +
                   " signature method_name to be " + std::string(kind) + ". Was: " + method->kind);
  }
  if (method->inputs.size() != 1 || method->inputs[0].info.type != DataType::String) {
    return invalid("Expected one Tensor of strings as the input of signature " + method->name);
  }
  return method;
}

Tensor example_tensor(const TfApi& api, const std::vector<std::string>& examples) {
  TensorBuilder builder(api, DataType::String);
  builder.reserve(examples.size());
  for (const auto& example : examples) {
    builder.push_text(example);
  }
  return builder.finish({static_cast<std::int64_t>(examples.size())});
}

namespace {

Result<void> check_matrix(const char* what, const Tensor& tensor, DataType type, std::size_t rows) {
  const Shape shape = tensor.shape();
  if (tensor.type() != type) {
    return invalid(std::string("Expected ") + what + " Tensor of " + name_of(type) +
                   ". Was: " + name_of(tensor.type()));
  }
  if (shape.size() != 2 || shape[0] != static_cast<std::int64_t>(rows)) {
    return invalid(std::string("Expected Tensor shape: [batch_size num_classes] but got ") + what + " " +
                   to_string(shape));
  }
  return {};
}

}  // namespace

Result<Classifications> to_classifications(const Method& method, const std::vector<Tensor>& outputs,
                                           std::size_t count) {
  const int classes = Method::find(method.outputs, "classes");
  const int scores = Method::find(method.outputs, "scores");
  if (classes < 0 && scores < 0) {
    return invalid("Expected classification signature outputs to contain at least one of \"classes\" or \"scores\"");
  }
  const Tensor* labels = classes < 0 ? nullptr : &outputs[static_cast<std::size_t>(classes)];
  const Tensor* values = scores < 0 ? nullptr : &outputs[static_cast<std::size_t>(scores)];
  if (labels != nullptr) {
    if (auto checked = check_matrix("classes", *labels, DataType::String, count); !checked) {
      return tl::unexpected(checked.error());
    }
  }
  if (values != nullptr) {
    if (auto checked = check_matrix("scores", *values, DataType::Float, count); !checked) {
      return tl::unexpected(checked.error());
    }
  }
  if (labels != nullptr && values != nullptr && labels->shape() != values->shape()) {
    return invalid("Tensors class and score should match in shape[1]. Got " + to_string(labels->shape()) + " and " +
                   to_string(values->shape()));
  }
  const std::int64_t columns = (labels != nullptr ? labels : values)->shape()[1];
  Classifications all(count);
  for (std::size_t row = 0; row < count; ++row) {
    for (std::int64_t column = 0; column < columns; ++column) {
      const std::int64_t at = static_cast<std::int64_t>(row) * columns + column;
      all[row].emplace_back(labels != nullptr ? labels->text(at) : std::string_view{},
                            values != nullptr ? values->as<float>()[at] : 0.0f);
    }
  }
  return all;
}

Result<std::vector<float>> to_regressions(const Method& method, const std::vector<Tensor>& outputs, std::size_t count) {
  const int at = Method::find(method.outputs, "outputs");
  if (at < 0) {
    return invalid("No regression outputs found in SignatureDef: " + method.name);
  }
  const Tensor& values = outputs[static_cast<std::size_t>(at)];
  const Shape shape = values.shape();
  if (values.type() != DataType::Float) {
    return invalid(std::string("Expected output Tensor of float. Was: ") + name_of(values.type()));
  }
  if ((shape.size() != 1 && !(shape.size() == 2 && shape[1] == 1)) || shape[0] != static_cast<std::int64_t>(count)) {
    return invalid("Expected output Tensor shape to be either [batch_size] or [batch_size, 1] but got " +
                   to_string(shape));
  }
  return std::vector<float>(values.as<float>(), values.as<float>() + count);
}

std::string write_classifications_json(const Classifications& classifications) {
  JsonOut out;
  out.begin_object();
  out.key("results");
  out.begin_array();
  for (const auto& classes : classifications) {
    out.single_line(true);
    out.begin_array();
    for (const auto& [label, score] : classes) {
      out.begin_array();
      out.string(label);
      out.decimal(score);
      out.end_array();
    }
    out.end_array();
    out.single_line(false);
  }
  out.end_array();
  out.end_object();
  return out.take();
}

std::string write_regressions_json(const std::vector<float>& values) {
  JsonOut out;
  out.begin_object();
  out.key("results");
  out.single_line(true);
  out.begin_array();
  for (const float value : values) {
    out.decimal(value);
  }
  out.end_array();
  out.end_object();
  return out.take();
}

}  // namespace slip::serving
