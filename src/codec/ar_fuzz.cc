#include <cstddef>
#include <cstdint>

#include "codec/ar.h"
#include "core/error.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    for (const slip::codec::ArMember& member : slip::codec::read_ar({data, size}, "fuzz")) {
      if (member.bytes.data() < data || member.bytes.data() + member.bytes.size() > data + size) {
        __builtin_trap();
      }
    }
  } catch (const slip::Error& e) {
    if (e.kind() != slip::ErrorKind::Invalid) {
      __builtin_trap();
    }
  }
  return 0;
}
