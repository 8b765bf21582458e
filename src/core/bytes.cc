#include "core/bytes.h"

#include <algorithm>

namespace slip {

std::size_t MemorySource::read(std::span<std::uint8_t> into) {
  const std::size_t n = std::min(into.size(), data_.size());
  std::copy_n(data_.begin(), n, into.begin());
  data_ = data_.subspan(n);
  return n;
}

std::size_t read_full(Source& from, std::span<std::uint8_t> into) {
  std::size_t got = 0;
  while (got < into.size()) {
    const std::size_t n = from.read(into.subspan(got));
    if (n == 0) {
      break;
    }
    got += n;
  }
  return got;
}

std::uint64_t copy_all(Source& from, Sink& to) {
  Bytes buffer(256 * 1024);
  std::uint64_t total = 0;
  while (const std::size_t n = from.read(buffer)) {
    to.write(ByteView(buffer).first(n));
    total += n;
  }
  return total;
}

}  // namespace slip
