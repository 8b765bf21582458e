#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "core/bytes.h"
#include "core/error.h"
#include "os/file.h"
#include "spec/pep508.h"
#include "spec/requirements.h"

namespace {

using namespace slip;
using namespace slip::spec;

void check(const RequirementsFile& file) {
  for (const Requirement& r : file.requirements) {
    if (requirement_fault(r.text) || requirement_name(r.text).empty() || r.place.line < 1 || r.place.column < 1) {
      __builtin_trap();
    }
  }
}

template <class Read>
void attempt(Read read) {
  try {
    check(read());
  } catch (const Error& e) {
    const std::string text = e.joined();
    if (e.kind() == ErrorKind::Internal || std::any_of(text.begin(), text.end(), [](char c) {
          return c != '\n' && (static_cast<unsigned char>(c) < 0x20 || c == 0x7f);
        })) {
      __builtin_trap();
    }
  }
}

}  // namespace

/// The same bytes as a requirements.txt and as a pyproject.toml: what is accepted is well formed, what is not is
/// refused in words that a terminal can show.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // In memory where that can be had: a disk makes this fifty times slower.
  namespace fs = std::filesystem;
  static const os::TempDir dir(fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path(), "requirements-fuzz-");
  const std::string_view text = as_text({data, size});
  // An absolute path would read this machine's own files.
  if (text.find("-r") == std::string_view::npos || text.find('/') == std::string_view::npos) {
    const std::filesystem::path file = dir.path() / "requirements.txt";
    const os::Fd out(::open(file.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    os::FdSink(out.get(), file.string()).write({data, size});
    attempt([] { return read_requirements(dir.path(), "requirements.txt"); });
  }
  attempt([&] { return read_pyproject({"pyproject.toml", text}); });
  return 0;
}
