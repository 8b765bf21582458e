#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "wheel/dist_info.h"
#include "wheel/name.h"

namespace {

using namespace slip::wheel;

/// Rows that were read are written so that they read the same.
void record(std::string_view text) {
  const std::vector<RecordRow> rows = parse_record(text);
  std::string written;
  for (const RecordRow& row : rows) {
    written += record_line(row);
  }
  if (parse_record(written) != rows) {
    __builtin_trap();
  }
}

/// Nothing but a word can become a file of bin/ or code of its launcher.
void entry_points(std::string_view text) {
  try {
    for (const EntryPoint& point : parse_entry_points(text, "fuzz")) {
      const std::string code = point.module + point.object;
      if (point.name.empty() || point.name.find_first_of("/\n") != std::string::npos || point.name == ".." ||
          code.find_first_of(" \t\n;()'\"") != std::string::npos) {
        __builtin_trap();
      }
    }
  } catch (const slip::Error& e) {
    if (e.kind() != slip::ErrorKind::Invalid) {
      __builtin_trap();
    }
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = slip::as_text({data, size});
  record(text);
  entry_points(text);
  for (const std::string& name : parse_required_names(text)) {
    if (normalise(name) != name) {
      __builtin_trap();
    }
  }
  return 0;
}
