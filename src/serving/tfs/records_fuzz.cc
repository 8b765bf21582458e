// TFRecord files: whatever is read fills the file to its last byte, and every checksum in it is right.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "serving/tfs/warmup.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const auto records = slip::serving::read_tf_records(bytes);
  if (!records) {
    return 0;
  }
  std::size_t all = 0;
  for (const std::string_view record : *records) {
    all += 16 + record.size();
    if (record.data() < bytes.data() || record.data() + record.size() > bytes.data() + bytes.size()) {
      std::abort();
    }
  }
  if (all != size) {
    std::abort();
  }
  return 0;
}
