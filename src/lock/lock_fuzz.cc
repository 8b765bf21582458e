#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "lock/diff.h"
#include "lock/lock.h"

/// What is accepted is written so that it reads the same; what is not is refused in words a terminal can show.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slip;
  try {
    const lock::Lock read = lock::from_toml(as_text({data, size}), "slipway.lock");
    const std::string text = lock::to_toml(read);
    const lock::Lock again = lock::from_toml(text, "slipway.lock");
    if (lock::to_toml(again) != text || lock::digest(again) != lock::digest(read)) {
      __builtin_trap();
    }
    for (const lock::Wheel& wheel : read.wheels) {
      if (wheel.artifact.file.find('/') != std::string::npos) {
        __builtin_trap();
      }
    }
    if (!lock::diff(read, read).empty()) {
      __builtin_trap();
    }
  } catch (const Error& e) {
    const std::string text = e.joined();
    if ((e.kind() != ErrorKind::Invalid && e.kind() != ErrorKind::Unsupported) ||
        std::any_of(text.begin(), text.end(),
                    [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; })) {
      __builtin_trap();
    }
  }
  return 0;
}
