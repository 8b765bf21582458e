#include <cstddef>
#include <cstdint>

#include "codec/tar.h"
#include "core/error.h"

/// Whatever is accepted has a name that stays inside, and can be written and read again as the same entry.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slip;
  using namespace slip::codec;
  try {
    MemorySource source({data, size});
    TarLimits limits;
    limits.max_total_size = 1u << 20;
    TarReader reader(source, limits);
    while (const auto entry = reader.next()) {
      if (("/" + entry->path + "/").find("/../") != std::string::npos || entry->path.starts_with('/')) {
        __builtin_trap();
      }
      if (entry->type == FileType::Regular) {
        NullSink out;
        if (copy_all(reader.content(), out) != entry->size) {
          __builtin_trap();
        }
      }
      const std::string header = tar_header(*entry);
      MemorySource again(as_bytes(header));
      TarReader second(again, limits);
      auto twin = second.next();
      if (twin && entry->type == FileType::Symlink) {
        twin->mode = entry->mode;  // written as 0777 whatever it was
      }
      if (twin != entry) {
        __builtin_trap();
      }
    }
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Invalid) {
      __builtin_trap();
    }
  }
  return 0;
}
