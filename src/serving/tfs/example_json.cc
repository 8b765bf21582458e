#include "serving/json/scan.h"
#include "serving/proto/wire.h"
#include "serving/tf/json_tensor.h"
#include "serving/tfs/example.h"

namespace slip::serving {
namespace {

/// The values of one feature while they are read; all must be of one kind.
class Feature {
 public:
  enum class Kind : std::uint32_t { None = 0, Bytes = 1, Float = 2, Int64 = 3 };  ///< field numbers in Feature

  /// False when the feature holds values of another kind.
  bool become(Kind kind) noexcept {
    if (kind_ == Kind::None) {
      kind_ = kind;
    }
    return kind_ == kind;
  }
  [[nodiscard]] const char* kind_name() const noexcept {
    return kind_ == Kind::Bytes ? "bytes" : (kind_ == Kind::Float ? "float" : "int64");
  }
  void add(std::string_view text) { list_.bytes(1, text); }
  void add(float value) { list_.fixed32(1, value); }
  void add(std::int64_t value) { list_.varint(1, static_cast<std::uint64_t>(value)); }
  [[nodiscard]] WireWriter wire() const {
    WireWriter feature;
    if (kind_ != Kind::None) {
      feature.message(static_cast<std::uint32_t>(kind_), list_);
    }
    return feature;
  }

 private:
  Kind kind_ = Kind::None;
  WireWriter list_;  ///< BytesList, FloatList or Int64List, unpacked
};

class ExamplesReader {
 public:
  explicit ExamplesReader(std::string_view body) : body_(body), scanner_(body) {}
  Result<ExampleCall> read();

 private:
  bool document();
  bool member(const std::string& key);
  bool examples();
  bool example(std::string& wire);
  bool feature(const std::string& name, Feature& feature);
  bool value(const std::string& name, Feature& feature);
  bool number(const std::string& name, Feature& feature);
  bool text(const std::string& name, Feature& feature);
  bool reject(std::string message) {
    failure_ = std::move(message);
    return false;
  }
  bool unexpected_type(const std::string& name, const char* type) {
    return reject("Feature: " + name + " has element with unexpected JSON type: " + type);
  }
  bool become(const std::string& name, Feature& feature, Feature::Kind kind) {
    return feature.become(kind) ||
           reject("Unexpected element type in feature: " + name + " expecting type: " + feature.kind_name());
  }
  [[nodiscard]] std::string document_text() const { return "JSON Value: " + excerpt(body_) + " "; }

  std::string_view body_;
  JsonScanner scanner_;
  ExampleCall call_;
  std::string context_;
  bool have_signature_ = false;
  bool have_context_ = false;
  bool have_examples_ = false;
  std::string scratch_;
  std::string failure_;
};

Result<ExampleCall> ExamplesReader::read() {
  if (body_.empty()) {
    return invalid("JSON Parse error: The document is empty");
  }
  if (!document()) {
    JsonScanner all(body_);
    return invalid(!all.skip_value() || !all.at_end() ? all.error() : failure_);
  }
  if (have_context_) {
    // Two messages one after the other read as one merged message: TensorFlow Serving relies on the same.
    for (auto& example : call_.examples) {
      example = context_ + example;
    }
  }
  return std::move(call_);
}

bool ExamplesReader::document() {
  if (scanner_.peek() != '{') {
    return reject(document_text() + "Is not object");
  }
  std::string key;
  if (!scanner_.members(key, [&] { return member(key); }) || !scanner_.at_end()) {
    return false;
  }
  return have_examples_ ||
         reject(document_text() + "When method is classify, key 'examples' is expected and was not found");
}

bool ExamplesReader::member(const std::string& key) {
  if (key == "signature_name" && !have_signature_) {
    have_signature_ = true;
    std::string_view name;
    if (scanner_.peek() != '"') {
      return reject(document_text() + "not formatted correctly. 'signature_name' key must be a string value.");
    }
    if (!scanner_.string(name, scratch_)) {
      return false;
    }
    call_.signature = name;
    return true;
  }
  if (key == "context" && !have_context_) {
    have_context_ = true;
    return example(context_);
  }
  if (key == "examples" && !have_examples_) {
    have_examples_ = true;
    return examples();
  }
  return scanner_.skip_value();
}

bool ExamplesReader::examples() {
  if (scanner_.peek() != '[') {
    return reject(document_text() + "Expecting 'examples' value to be an list/array");
  }
  if (!scanner_.open()) {
    return false;
  }
  if (scanner_.peek() == ']') {
    return reject(document_text() + "'examples' value is an empty array");
  }
  do {
    if (!example(call_.examples.emplace_back())) {
      return false;
    }
  } while (scanner_.next_element());
  return !scanner_.failed();
}

const char* json_type(char first) noexcept {
  switch (first) {
    case '[': return "Array";
    case '"': return "String";
    case 't': return "True";
    case 'f': return "False";
    case 'n': return "Null";
    default: return "Number";
  }
}

/// One JSON object as tf.Example bytes: Example.features = 1, Features.feature = 1 (map), Feature's kinds 1 to 3.
bool ExamplesReader::example(std::string& wire) {
  if (scanner_.peek() != '{') {
    return reject(std::string("Example must be JSON object but got JSON ") + json_type(scanner_.peek()));
  }
  WireWriter features;
  std::string name;
  const bool read = scanner_.members(name, [&] {
    Feature values;
    if (!feature(name, values)) {
      return false;
    }
    WireWriter entry;
    entry.bytes(1, name);
    entry.message(2, values.wire());
    features.message(1, entry);
    return true;
  });
  WireWriter whole;
  whole.message(1, features);
  wire = whole.take();
  return read;
}

bool ExamplesReader::feature(const std::string& name, Feature& feature) {
  if (scanner_.peek() != '[') {
    return value(name, feature);
  }
  return scanner_.elements([&] { return value(name, feature); });
}

bool ExamplesReader::value(const std::string& name, Feature& feature) {
  switch (const char c = scanner_.peek()) {
    case '[': return unexpected_type(name, "Array");
    case '{':
    case '"': return text(name, feature);
    case 'n':
    case 't':
    case 'f':
      if (scanner_.literal() == '\0') {
        return scanner_.fail("Invalid value.");
      }
      if (c == 'n') {
        return unexpected_type(name, "Null");
      }
      if (!become(name, feature, Feature::Kind::Int64)) {
        return false;
      }
      feature.add(std::int64_t{c == 't'});
      return true;
    default: return number(name, feature);
  }
}

bool ExamplesReader::number(const std::string& name, Feature& feature) {
  JsonNumber n;
  if (!scanner_.number(n)) {
    return false;
  }
  if (!n.integer) {
    if (!become(name, feature, Feature::Kind::Float)) {
      return false;
    }
    feature.add(static_cast<float>(n.value));
    return true;
  }
  if (!become(name, feature, Feature::Kind::Int64)) {
    return false;
  }
  if (!n.fits_int64()) {
    return reject("Feature: " + name + " has uint64 element. Only int64_t is supported.");
  }
  feature.add(n.as_int64());
  return true;
}

bool ExamplesReader::text(const std::string& name, Feature& feature) {
  const bool plain = scanner_.peek() == '"';
  if (!plain && !at_base64_object(scanner_)) {
    return unexpected_type(name, "Object");
  }
  if (!become(name, feature, Feature::Kind::Bytes)) {
    return false;
  }
  std::string_view value;
  if (plain) {
    if (!scanner_.string(value, scratch_)) {
      return false;
    }
    feature.add(value);
    return true;
  }
  std::string key;
  std::string decoded;
  if (!scanner_.open() || !scanner_.key(key) || scanner_.peek() != '"' || !scanner_.string(value, scratch_)) {
    return false;
  }
  if (!decode_base64(value, decoded)) {
    return reject("Unable to base64 decode");
  }
  feature.add(std::string_view(decoded));
  return !scanner_.next_member() && !scanner_.failed();
}

}  // namespace

Result<ExampleCall> read_examples_json(std::string_view body) { return ExamplesReader(body).read(); }

}  // namespace slip::serving
