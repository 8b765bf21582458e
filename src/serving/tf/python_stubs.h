#pragma once

namespace slip::serving {

/// Does nothing; a call to it makes the linker take the Python stubs out of the static library.
void keep_python_stubs() noexcept;

}  // namespace slip::serving
