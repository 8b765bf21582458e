#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "spec/ignore.h"

/// First line: a path; the rest: patterns. What is inside an ignored folder is ignored.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  const std::string path(text.substr(0, text.find('\n')));
  try {
    const auto rules = slip::spec::IgnoreRules::parse(text.substr(std::min(path.size() + 1, text.size())));
    const bool folder = rules.ignored(path, true);
    if (folder && path.find_first_not_of("./") != std::string::npos && !rules.ignored(path + "/inside", false)) {
      __builtin_trap();
    }
    if (rules.empty() && (folder || rules.ignored(path, false))) {
      __builtin_trap();
    }
  } catch (const slip::Error& e) {
    if (e.kind() != slip::ErrorKind::Invalid) {
      __builtin_trap();
    }
  }
  return 0;
}
