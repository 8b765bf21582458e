// Request bodies: whatever the bytes, the reader stops inside them, and a value it accepts has the shape it claims.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "serving/json/scan.h"
#include "serving/tf/json_tensor.h"
#include "serving/tfs/example.h"

namespace {

using namespace slip::serving;

/// TensorFlow's string functions are all that reading needs of it; these keep no text.
TfApi api_without_tensorflow() {
  TfApi api;
  api.StringInit = [](TF_TString*) {};
  api.StringCopy = [](TF_TString*, const char*, std::size_t) {};
  api.StringDealloc = [](TF_TString*) {};
  return api;
}

void read_as(const TfApi& api, DataType type, std::string_view text) {
  JsonScanner scanner(text);
  DenseReader reader(scanner);
  TensorBuilder builder(api, type);
  Shape shape;
  if (reader.read(builder, shape) && element_count(shape) != static_cast<std::int64_t>(builder.count())) {
    std::abort();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  static const TfApi api = api_without_tensorflow();
  for (const DataType type : {DataType::Float, DataType::Int64, DataType::UInt8, DataType::Bool, DataType::String}) {
    read_as(api, type, text);
  }
  JsonScanner all(text);
  const bool valid = all.skip_value() && all.at_end();
  if (read_examples_json(text).has_value() && !valid) {
    std::abort();
  }
  return 0;
}
