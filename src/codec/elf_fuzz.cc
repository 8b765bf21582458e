#include "codec/elf.h"

#include <algorithm>

#include "core/error.h"

namespace {

slip::codec::ReadAt reader(slip::ByteView file) {
  return [file](std::uint64_t offset, std::span<std::uint8_t> into) {
    if (offset > file.size() || into.size() > file.size() - offset) {
      __builtin_trap();  // the codec checks before it reads
    }
    std::copy_n(file.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  };
}

}  // namespace

// A stripped file asks for the same as before, and there is nothing left to strip.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slip;
  const ByteView file(data, size);
  try {
    BytesSink once;
    codec::strip_elf(reader(file), size, once, "fuzz");
    if (codec::read_elf(reader(file), size, "fuzz") != codec::read_elf(reader(once.data), once.data.size(), "fuzz")) {
      __builtin_trap();
    }
    BytesSink twice;
    codec::strip_elf(reader(once.data), once.data.size(), twice, "fuzz");
    if (twice.data != once.data) {
      __builtin_trap();
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Invalid) {
      __builtin_trap();
    }
  }
  return 0;
}
