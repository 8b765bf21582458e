#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "codec/zip.h"
#include "core/bytes.h"

namespace slip::codec {

/// What an ELF file asks of the system that runs it.
struct ElfNeeds {
  std::string interpreter;          ///< "/lib64/ld-linux-x86-64.so.2"; empty: a library or a static program
  std::string soname;               ///< "libz.so.1"; empty: none
  std::vector<std::string> needed;  ///< sonames, in the file's order
  bool operator==(const ElfNeeds&) const = default;
};

/// True when the bytes begin as an ELF file does.
bool is_elf(ByteView start) noexcept;

/// Reads the dynamic section of a 64-bit little-endian ELF file of `size` bytes.
/// @throws Error Invalid naming `name`: no such file, or a damaged one
/// @source System V ABI, chapters 4 and 5; gABI "Dynamic Section"
ElfNeeds read_elf(const ReadAt& read, std::uint64_t size, const std::string& name);

/// Writes the file without what only linkers and debuggers read: symbol tables that are not loaded, debug sections,
/// comments. What the kernel and the dynamic loader see stays byte for byte where it was, so it behaves as before; the
/// section headers of what is left are kept for tools. The bytes depend on the file alone.
/// Memory: O(number of sections), whatever the file's size.
/// @throws Error Invalid naming `name`
void strip_elf(const ReadAt& read, std::uint64_t size, Sink& out, const std::string& name);

}  // namespace slip::codec
