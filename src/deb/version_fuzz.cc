#include <cstdlib>

#include "core/bytes.h"
#include "deb/version.h"

/// Two texts, divided by a line break: the order must be antisymmetric, and what parses must be written back as an
/// equal version.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  const std::size_t middle = text.find('\n');
  const std::string_view a = text.substr(0, middle);
  const std::string_view b = middle == std::string_view::npos ? std::string_view() : text.substr(middle + 1);
  const auto order = slip::deb::compare_versions(a, b);
  const auto reverse = slip::deb::compare_versions(b, a);
  if ((order < 0) != (reverse > 0) || (order == 0) != (reverse == 0)) {
    std::abort();
  }
  if (const auto version = slip::deb::Version::parse(a)) {
    const std::string again = version->text();
    if (slip::deb::compare_versions(a, again) != 0 || !slip::deb::Version::parse(again)) {
      std::abort();
    }
  }
  return 0;
}
