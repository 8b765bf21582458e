#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "codec/zip.h"
#include "core/error.h"

namespace {

using namespace slip;
using namespace slip::codec;

void unpack(ByteView archive, const std::vector<ZipEntry>& entries) {
  std::uint64_t left = 1u << 20;
  for (const ZipEntry& entry : entries) {
    if (entry.size > left) {
      return;
    }
    left -= entry.size;
    try {
      BytesSink out;
      extract_zip(archive, entry, out, "fuzz");
      if (out.data.size() != entry.size) {
        __builtin_trap();
      }
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::Corrupt) {
        __builtin_trap();
      }
    }
  }
}

}  // namespace

/// The reader from memory and the piecewise one agree; data lies inside; content is of the size promised.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView archive(data, size);
  const ReadAt pieces = [&](std::uint64_t offset, std::span<std::uint8_t> into) {
    if (offset > size || into.size() > size - offset) {
      __builtin_trap();
    }
    std::copy_n(data + offset, into.size(), into.begin());
  };
  std::vector<ZipEntry> entries;
  std::string complaint;
  try {
    entries = read_zip(archive, "fuzz");
  } catch (const Error& e) {
    complaint = e.joined();
  }
  try {
    const std::vector<ZipEntry> twin = read_zip(pieces, size, "fuzz");
    if (!complaint.empty() || twin.size() != entries.size()) {
      __builtin_trap();
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Invalid || complaint != e.joined()) {
      __builtin_trap();
    }
  }
  unpack(archive, entries);
  return 0;
}
