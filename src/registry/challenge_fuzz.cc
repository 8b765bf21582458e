#include <cstdint>
#include <string_view>

#include "registry/challenge.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto found = slip::registry::parse_challenges({reinterpret_cast<const char*>(data), size});
  if (found.size() > 16) {
    __builtin_trap();
  }
  for (const auto& challenge : found) {
    if (challenge.scheme.empty() || challenge.params.size() > 32) {
      __builtin_trap();
    }
  }
  return 0;
}
