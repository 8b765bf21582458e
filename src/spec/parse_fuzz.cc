#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "spec/spec.h"

namespace {

using namespace slip;

/// Messages may hold line ends (the excerpt with its caret), but nothing a terminal obeys.
void check_message(const Error& error) {
  if (error.kind() != ErrorKind::Invalid && error.kind() != ErrorKind::NotFound && error.kind() != ErrorKind::Denied) {
    __builtin_trap();
  }
  const std::string text = error.joined();
  if (std::any_of(text.begin(), text.end(),
                  [](char c) { return c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f); })) {
    __builtin_trap();
  }
}

}  // namespace

/// A spec is refused with a clean message, or means the same each time and for its first variant.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  for (const char* variant : {"", "a"}) {
    try {
      const spec::Spec read = spec::parse(text, "slipway.yaml", "/nonexistent", variant);
      if (read.digest() != spec::parse(text, "other.yaml", "/nonexistent/else", variant).digest()) {
        __builtin_trap();
      }
    } catch (const Error& e) {
      check_message(e);
    }
  }
  return 0;
}
