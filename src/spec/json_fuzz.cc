// The spec in an image's label comes from anybody: what is accepted must come out as it went in.
#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "spec/spec.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  try {
    if (slip::spec::to_json(slip::spec::from_json(text, "label")) != text) {
      __builtin_trap();
    }
  } catch (const slip::Error& e) {
    if (e.kind() == slip::ErrorKind::Internal) {
      __builtin_trap();
    }
  }
  return 0;
}
