#include "core/bytes.h"
#include "core/error.h"
#include "deb/release.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  try {
    slip::deb::parse_release(slip::as_text({data, size}), "fuzz");
  } catch (const slip::Error&) {
  }
  return 0;
}
