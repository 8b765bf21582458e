#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "oci/reference.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    const auto ref = slip::oci::Reference::parse(slip::as_text({data, size}));
    if (slip::oci::Reference::parse(ref.text()) != ref || ref.name().size() > 255 ||
        ref.text().find("..") < ref.name().size()) {
      __builtin_trap();
    }
  } catch (const slip::Error&) {
    // A reject is a normal answer.
  }
  return 0;
}
