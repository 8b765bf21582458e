#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "core/bytes.h"
#include "core/error.h"

/// A document that is read has one canonical text, unless a floating-point number stands in it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slip;
  codec::Json read;
  try {
    read = codec::parse_json(as_text({data, size}), "fuzz");
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Invalid) {
      __builtin_trap();
    }
    return 0;
  }
  try {
    const std::string text = codec::dump_canonical(read);
    if (codec::dump_canonical(codec::parse_json(text, "again")) != text) {
      __builtin_trap();
    }
  } catch (const Error& e) {
    if (e.joined().find("floating-point") == std::string::npos) {
      __builtin_trap();
    }
  }
  return 0;
}
