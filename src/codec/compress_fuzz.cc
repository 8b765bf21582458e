#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <optional>

#include "codec/compress.h"
#include "core/error.h"

namespace {

using namespace slip;
using namespace slip::codec;

constexpr std::size_t kMost = 1u << 20;  // a few bytes can unpack to gigabytes

/// A source that hands out `step` bytes a time.
class Steps final : public Source {
 public:
  Steps(ByteView bytes, std::size_t step) : from_(bytes), step_(step) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    return from_.read(into.first(std::min(into.size(), step_)));
  }

 private:
  MemorySource from_;
  std::size_t step_;
};

/// What comes out, up to kMost bytes; nullopt when the stream is corrupt.
std::optional<Bytes> unpack(ByteView packed, std::size_t step_in, std::size_t step_out) {
  try {
    Steps source(packed, step_in);
    const auto plain = open_compressed(source, "fuzz");
    Bytes out(kMost + step_out);
    std::size_t at = 0;
    while (at < kMost) {
      const std::size_t n = plain->read(std::span(out).subspan(at, step_out));
      if (n == 0) {
        break;
      }
      at += n;
    }
    out.resize(std::min(at, kMost));
    return out;
  } catch (const Error& e) {
    if (e.kind() != ErrorKind::Corrupt) {
      __builtin_trap();
    }
    return std::nullopt;
  }
}

/// Both readers of a raw DEFLATE stream take and refuse the same ones.
void inflate_both(ByteView packed, std::uint64_t size, std::uint32_t crc) {
  const auto accepts = [](auto&& inflate) {
    try {
      inflate();
      return true;
    } catch (const Error&) {
      return false;
    }
  };
  BytesSink whole;
  BytesSink pieces;
  Steps source(packed, 7);
  const bool first = accepts([&] { inflate_exact(packed, size, crc, whole, "fuzz"); });
  const bool second = accepts([&] { inflate_exact(source, size, crc, pieces, "fuzz"); });
  if (first != second || (first && whole.data != pieces.data)) {
    __builtin_trap();
  }
}

}  // namespace

/// Neither how the input is cut nor how much is asked for at a time changes what comes out.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const ByteView all(data, size);
  const auto coarse = unpack(all, size + 1, 1u << 16);
  const auto fine = unpack(all, 3, 4099);
  // Damage behind the limit may or may not be reached.
  const bool cut = (coarse && coarse->size() == kMost) || (fine && fine->size() == kMost);
  if (!cut && coarse != fine) {
    __builtin_trap();
  }
  if (size >= 18 && coarse && !cut) {
    inflate_both(all.subspan(10, size - 18), coarse->size(), crc32(0, *coarse));
  }
  return 0;
}
