#include "serving/tfs/predict_json.h"

#include <algorithm>

#include "core/text.h"
#include "serving/json/scan.h"
#include "serving/tf/json_tensor.h"

namespace slip::serving {
namespace {

/// What one pass over a request body collects.
class PredictReader {
 public:
  PredictReader(const Model& model, std::string_view body) : model_(model), body_(body), scanner_(body) {}

  Result<PredictCall> read();

 private:
  struct Input {
    TensorBuilder builder;
    Shape item;  ///< of one instance, or of the whole input in column form
    bool seen = false;
  };

  bool find_signature();
  bool document();
  bool instances();
  bool instance(std::size_t index, bool objects);
  bool named_instance(std::size_t index);
  bool instance_member(std::size_t index, std::size_t& seen);
  bool add_item(std::size_t input, std::size_t index);
  bool inputs();
  bool inputs_object();
  bool whole_input(std::size_t input);
  bool read_dense(std::size_t input, Shape& shape);
  void make_builders();
  bool reject(std::string message, Code code = Code::InvalidArgument);
  [[nodiscard]] std::string document_text() const { return "JSON Value: " + excerpt(body_) + " "; }
  [[nodiscard]] std::string input_names(std::string_view between) const;

  const Model& model_;
  std::string_view body_;
  JsonScanner scanner_;
  std::string signature_;
  std::vector<Input> inputs_;
  PredictCall call_;
  std::int64_t rows_ = 0;
  std::string key_;
  Shape shape_;
  Failure failure_;
};

bool PredictReader::reject(std::string message, Code code) {
  failure_ = {code, std::move(message)};
  return false;
}

/// The signature decides the types, so it must be known before the tensors are met.
bool PredictReader::find_signature() {
  if (body_.find("\"signature_name\"") == std::string_view::npos && body_.find("\\u00") == std::string_view::npos) {
    return true;
  }
  JsonScanner ahead(body_);
  if (ahead.peek() != '{' || !ahead.open() || ahead.peek() == '}') {
    return true;  // the main pass reports it
  }
  do {
    if (!ahead.key(key_)) {
      return true;
    }
    if (key_ == "signature_name") {
      std::string_view text;
      std::string scratch;
      if (ahead.peek() != '"') {
        return reject(document_text() + "not formatted correctly. 'signature_name' key must be a string value.");
      }
      if (ahead.string(text, scratch)) {
        signature_ = text;
      }
      return true;
    }
    if (!ahead.skip_value()) {
      return true;
    }
  } while (ahead.next_member());
  return true;
}

Result<PredictCall> PredictReader::read() {
  if (body_.empty()) {
    return invalid("JSON Parse error: The document is empty");
  }
  bool done = find_signature();
  if (done) {
    call_.method = model_.method(signature_);
    done = call_.method == nullptr ? reject("Serving signature name: \"" +
                                            (signature_.empty() ? std::string(kDefaultSignature) : signature_) +
                                            "\" not found in signature def")
                                   : document();
  }
  if (!done) {
    // A body that is no JSON at all is reported as such, wherever else the pass stopped.
    JsonScanner all(body_);
    if (!all.skip_value() || !all.at_end()) {
      return invalid(all.error());
    }
    return tl::unexpected(failure_);
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    Shape shape = inputs_[i].item;
    if (call_.form == JsonForm::Row) {
      shape.insert(shape.begin(), rows_);
    }
    call_.inputs.push_back(inputs_[i].builder.finish(shape));
  }
  return std::move(call_);
}

void PredictReader::make_builders() {
  for (const Port& port : call_.method->inputs) {
    inputs_.push_back({TensorBuilder(model_.api(), port.info.type), {}, false});
  }
  if (inputs_.size() == 1 && inputs_[0].builder.type() != DataType::String) {
    // Two characters make a value at the least ("1,"); typical ones have more. Room that stays unused is never
    // touched, and the builder grows when a dense body needs more.
    inputs_[0].builder.reserve(scanner_.left() / 4 + 16);
  }
}

bool PredictReader::document() {
  if (scanner_.peek() != '{') {
    return reject(document_text() + "Is not object");
  }
  if (!scanner_.open()) {
    return false;
  }
  if (scanner_.peek() == '}') {
    return reject("Missing 'inputs' or 'instances' key");
  }
  bool row = false;
  bool column = false;
  do {
    if (!scanner_.key(key_)) {
      return false;
    }
    const bool is_row = key_ == "instances";
    const bool is_column = key_ == "inputs";
    if ((is_row && column) || (is_column && row)) {
      return reject(document_text() +
                    "Not formatted correctly expecting only one of 'inputs' or 'instances' keys to exist ");
    }
    if ((is_row && !row) || (is_column && !column)) {
      row |= is_row;
      column |= is_column;
      call_.form = is_row ? JsonForm::Row : JsonForm::Column;
      make_builders();
      if (!(is_row ? instances() : inputs())) {
        return false;
      }
    } else if (!scanner_.skip_value()) {
      return false;
    }
  } while (scanner_.next_member());
  if (scanner_.failed() || !scanner_.at_end()) {
    return false;
  }
  return row || column || reject("Missing 'inputs' or 'instances' key");
}

bool PredictReader::instances() {
  if (scanner_.peek() != '[') {
    return reject(document_text() + "Excepting 'instances' to be an list/array");
  }
  if (!scanner_.open()) {
    return false;
  }
  if (scanner_.peek() == ']') {
    return reject(document_text() + "No values in 'instances' array");
  }
  if (inputs_.empty()) {
    return reject("Failed to get input map for signature: " + (signature_.empty() ? "DEFAULT" : signature_));
  }
  if (scanner_.peek() != '{' && inputs_.size() > 1) {
    return reject(
        "instances is a plain list, but expecting list of objects as multiple input tensors required as per "
        "tensorinfo_map");
  }
  const bool objects = scanner_.peek() == '{' && !at_base64_object(scanner_);
  std::size_t index = 0;
  do {
    if (!instance(index, objects)) {
      return false;
    }
    ++index;
  } while (scanner_.next_element());
  rows_ = static_cast<std::int64_t>(index);
  return !scanner_.failed();
}

bool PredictReader::instance(std::size_t index, bool objects) {
  const char first = scanner_.peek();
  const bool is_object = first == '{' && !at_base64_object(scanner_);
  if (objects) {
    return is_object ? named_instance(index)
                     : reject("Expecting object but got list at item " + std::to_string(index) + " of input list");
  }
  if (is_object) {
    return reject("Expecting value/list but got object at item " + std::to_string(index) + " of input list");
  }
  if (add_item(0, index)) {
    return true;
  }
  return reject("Failed to process element: " + std::to_string(index) +
                " of 'instances' list. Error: " + to_string(failure_));
}

bool PredictReader::named_instance(std::size_t index) {
  const char* start = scanner_.position();
  for (Input& input : inputs_) {
    input.seen = false;
  }
  std::size_t seen = 0;
  if (!scanner_.members(key_, [&] { return instance_member(index, seen); })) {
    return false;
  }
  return seen == inputs_.size() || reject("Failed to process element: " + std::to_string(index) +
                                          " of 'instances' list. JSON object: " + excerpt(scanner_.since(start)) +
                                          " keys must be equal to: " + input_names(","));
}

bool PredictReader::instance_member(std::size_t index, std::size_t& seen) {
  const int port = Method::find(call_.method->inputs, key_);
  if (port < 0) {
    return reject("Failed to process element: " + std::to_string(index) + " key: " + key_ +
                  " of 'instances' list. Error: INVALID_ARGUMENT: JSON object: does not have named input: " + key_);
  }
  const auto input = static_cast<std::size_t>(port);
  if (inputs_[input].seen) {
    return scanner_.skip_value();
  }
  inputs_[input].seen = true;
  ++seen;
  return add_item(input, index) ||
         reject("Failed to process element: " + std::to_string(index) + " key: " + call_.method->inputs[input].name +
                " of 'instances' list. Error: " + to_string(failure_));
}

std::string PredictReader::input_names(std::string_view between) const {
  std::vector<std::string> names;
  for (const Port& port : call_.method->inputs) {
    names.push_back(port.name);
  }
  return join(names, between);
}

bool PredictReader::read_dense(std::size_t input, Shape& shape) {
  DenseReader reader(scanner_);
  if (reader.read(inputs_[input].builder, shape)) {
    return true;
  }
  failure_ = reader.failure();
  return false;
}

bool PredictReader::add_item(std::size_t input, std::size_t index) {
  Input& to = inputs_[input];
  if (index == 0) {
    return read_dense(input, to.item);
  }
  const std::size_t before = to.builder.count();
  if (!read_dense(input, shape_)) {
    return false;
  }
  if (shape_ == to.item) {
    return true;
  }
  const auto size = static_cast<std::int64_t>(to.builder.count() - before);
  const std::int64_t expected = element_count(to.item);
  if (size != expected) {
    return reject("Expecting tensor size: " + std::to_string(expected) + " but got: " + std::to_string(size));
  }
  return reject("Expecting shape " + to_string(to.item) + " but got: " + to_string(shape_));
}

bool PredictReader::inputs() {
  if (scanner_.peek() == '{' && !at_base64_object(scanner_)) {
    return inputs_object();
  }
  if (inputs_.size() != 1) {
    return inputs_.empty()
               ? reject("Failed to get input map for signature: " + (signature_.empty() ? "DEFAULT" : signature_))
               : reject(
                     "inputs is a plain value/list, but expecting an object as multiple input tensors required as "
                     "per tensorinfo_map");
  }
  return whole_input(0);
}

bool PredictReader::whole_input(std::size_t input) {
  inputs_[input].seen = true;
  return read_dense(input, inputs_[input].item);
}

bool PredictReader::inputs_object() {
  const bool read = scanner_.members(key_, [&] {
    const int port = Method::find(call_.method->inputs, key_);
    const bool wanted = port >= 0 && !inputs_[static_cast<std::size_t>(port)].seen;
    return wanted ? whole_input(static_cast<std::size_t>(port)) : scanner_.skip_value();
  });
  if (!read) {
    return false;
  }
  for (std::size_t i = 0; i < inputs_.size(); ++i) {
    if (!inputs_[i].seen) {
      return reject("Missing named input: " + call_.method->inputs[i].name + " in 'inputs' object.");
    }
  }
  return true;
}

}  // namespace

Result<PredictCall> read_predict_json(const Model& model, std::string_view body) {
  return PredictReader(model, body).read();
}

}  // namespace slip::serving
