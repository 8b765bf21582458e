// Bodies of /v2/…/infer: JSON with tensors behind it. The first two bytes say how much of the rest is JSON.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "serving/oip/json.h"
#include "serving/tf/fake_api.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slip::serving;
  if (size < 2) {
    return 0;
  }
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::size_t json = std::min<std::size_t>(body.size(), data[0] + 256u * data[1]);
  const auto request = read_oip_json(test::fake_tensorflow(), body, json);
  if (!request) {
    return 0;
  }
  for (const OipInput& input : request->inputs) {
    if (input.tensor.empty() || input.tensor.shape() != input.shape || input.tensor.type() != input.type) {
      std::abort();
    }
    std::string raw;
    append_oip_raw(raw, input.tensor);
    const auto again = read_oip_raw(test::fake_tensorflow(), input.name, input.type, input.shape, raw);
    std::string twice;
    if (again) {
      append_oip_raw(twice, *again);
    }
    if (raw != twice) {
      std::abort();
    }
  }
  return 0;
}
