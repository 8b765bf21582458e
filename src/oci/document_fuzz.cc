#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "oci/types.h"

namespace {

/// A document that is accepted must come out canonical: written and read again it is the same value.
template <class Parse>
void round_trip(std::string_view text, Parse parse) {
  try {
    const auto value = parse(text);
    if (parse(slip::oci::to_json(value)) != value) {
      __builtin_trap();
    }
  } catch (const slip::Error& e) {
    if (e.kind() == slip::ErrorKind::Internal) {
      __builtin_trap();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  round_trip(text, slip::oci::parse_manifest);
  round_trip(text, slip::oci::parse_index);
  round_trip(text, slip::oci::parse_image_config);
  round_trip(text, slip::oci::parse_descriptor);
  return 0;
}
