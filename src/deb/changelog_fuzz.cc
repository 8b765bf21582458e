// Changelogs come out of packages: every id found must be one, and stand in the text.
#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "deb/changelog.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  std::string last;
  for (const std::string& id : slip::deb::cves_since(text, "1:1.0-1")) {
    if (!id.starts_with("CVE-") || text.find(id) == std::string_view::npos || id <= last) {
      __builtin_trap();
    }
    last = id;
  }
  return 0;
}
