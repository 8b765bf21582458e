#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "wheel/index.h"

/// A page from a foreign server, in either form: refused or read, never anything else.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  for (const bool json : {true, false}) {
    try {
      for (const auto& file : slip::wheel::parse_index_page(text, json, "https://index.test/simple/x/")) {
        if (file.file.empty() || file.file.find('/') != std::string::npos ||
            file.url.find("://") == std::string::npos) {
          __builtin_trap();
        }
      }
    } catch (const slip::Error& e) {
      if (e.kind() != slip::ErrorKind::Invalid) {
        __builtin_trap();
      }
    }
  }
  return 0;
}
