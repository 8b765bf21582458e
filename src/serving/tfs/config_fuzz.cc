// Text-format configuration, protobuf messages and TFRecords from outside.
#include <cstdint>
#include <string_view>

#include "serving/models/config.h"
#include "serving/tf/signature.h"
#include "serving/tfs/predict_proto.h"
#include "serving/tfs/warmup.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)slip::serving::read_model_config(text);
  (void)slip::serving::read_monitoring_config(text);
  (void)slip::serving::read_signatures(text);
  (void)slip::serving::read_tf_records(text);
  (void)slip::serving::read_predict_message(text);
  (void)slip::serving::read_example_message(text);
  return 0;
}
