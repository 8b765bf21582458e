// TensorFlow's wheel links its runtime against Python, yet loading and running a SavedModel through the C API calls
// none of it. These definitions let the dynamic linker bind those symbols without a Python in the process. A call
// ends the process and names the function, because there is no answer that would be true.
#include "serving/tf/python_stubs.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#define SLIP_EXPORTED __attribute__((visibility("default"), used))

namespace {

[[noreturn]] void called(const char* name) noexcept {
  constexpr char kText[] = "slipway-serve: TensorFlow called the Python function ";
  [[maybe_unused]] auto ignored = ::write(STDERR_FILENO, kText, sizeof kText - 1);
  ignored = ::write(STDERR_FILENO, name, std::strlen(name));
  ignored = ::write(STDERR_FILENO, "; this model needs Python\n", 26);
  std::abort();
}

}  // namespace

extern "C" {
// Bigger than any object of CPython 3.9 (PyTypeObject has 408 bytes).
#define SLIP_PYTHON_DATA(name) alignas(64) SLIP_EXPORTED char name[1024] = {};
#define SLIP_PYTHON_FUNCTION(name) \
  SLIP_EXPORTED void name() { called(#name); }
#include "serving/tf/python_symbols.inc"
}

namespace slip::serving {

void keep_python_stubs() noexcept {}

}  // namespace slip::serving
