// Text-format configuration and protobuf messages from outside.
#include <cstdint>
#include <string_view>

#include "serving/config.h"
#include "serving/signature.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)slip::serving::read_model_config(text);
  (void)slip::serving::read_monitoring_config(text);
  (void)slip::serving::read_signatures(text);
  return 0;
}
