#include "codec/compress.h"

#include <libdeflate.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <array>

#include "core/error.h"

namespace slip::codec {
namespace {

constexpr int kLevel = 6;
constexpr std::array<std::uint8_t, 10> kGzipHeader = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
constexpr std::size_t kBuffer = 256 * 1024;
constexpr std::uint64_t kWholeBuffer = 16u << 20;  // streams up to this size are inflated in one call
constexpr std::uint64_t kXzMemory = 512u << 20;    // xz -9 needs 65 MiB; the rest is for odd third parties

void put_le32(std::string& out, std::uint32_t value) {
  for (int shift = 0; shift < 32; shift += 8) {
    out += static_cast<char>((value >> shift) & 0xff);
  }
}

Error corrupt(const std::string& name, std::string_view what) {
  return {ErrorKind::Corrupt, "unpack {}: {}", name, what};
}

/// Reads ahead from a source and hands out what it has.
class Input {
 public:
  explicit Input(Source& from) : from_(from), buffer_(kBuffer) {}
  /// Bytes at hand; reads more when there are none. Empty only at the end.
  ByteView peek() {
    if (at_ == end_) {
      at_ = 0;
      end_ = from_.read(buffer_);
    }
    return ByteView(buffer_).subspan(at_, end_ - at_);
  }
  /// At least `n` bytes if the source has them.
  ByteView peek(std::size_t n) {
    while (end_ - at_ < n) {
      std::copy(buffer_.begin() + static_cast<std::ptrdiff_t>(at_), buffer_.begin() + static_cast<std::ptrdiff_t>(end_),
                buffer_.begin());
      end_ -= at_;
      at_ = 0;
      const std::size_t got = from_.read(std::span(buffer_).subspan(end_));
      if (got == 0) {
        break;
      }
      end_ += got;
    }
    return ByteView(buffer_).subspan(at_, end_ - at_);
  }
  void take(std::size_t n) { at_ += n; }

 private:
  Source& from_;
  Bytes buffer_;
  std::size_t at_ = 0;
  std::size_t end_ = 0;
};

class PlainSource final : public Source {
 public:
  explicit PlainSource(std::unique_ptr<Input> in) : in_(std::move(in)) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    const ByteView some = in_->peek();
    const std::size_t n = std::min(some.size(), into.size());
    std::copy_n(some.begin(), n, into.begin());
    in_->take(n);
    return n;
  }

 private:
  std::unique_ptr<Input> in_;
};

class GzipSource final : public Source {
 public:
  GzipSource(std::unique_ptr<Input> in, std::string name) : in_(std::move(in)), name_(std::move(name)) {
    if (::inflateInit2(&stream_, 15 + 16) != Z_OK) {
      throw Error(ErrorKind::Internal, "start inflating {}", name_);
    }
  }
  ~GzipSource() override { ::inflateEnd(&stream_); }
  std::size_t read(std::span<std::uint8_t> into) override {
    stream_.next_out = into.data();
    stream_.avail_out = static_cast<uInt>(std::min<std::size_t>(into.size(), 1u << 30));
    const uInt wanted = stream_.avail_out;
    while (stream_.avail_out == wanted && wanted > 0) {
      const ByteView some = in_->peek();
      if (some.empty()) {
        if (!between_) {
          throw corrupt(name_, "the gzip stream ends too early");
        }
        break;
      }
      if (between_) {
        ::inflateReset(&stream_);
        between_ = false;
      }
      stream_.next_in = const_cast<Bytef*>(some.data());
      stream_.avail_in = static_cast<uInt>(some.size());
      const int result = ::inflate(&stream_, Z_NO_FLUSH);
      in_->take(some.size() - stream_.avail_in);
      if (result == Z_STREAM_END) {
        between_ = true;
      } else if (result != Z_OK && result != Z_BUF_ERROR) {
        throw corrupt(name_, "not a valid gzip stream");
      }
    }
    return wanted - stream_.avail_out;
  }

 private:
  std::unique_ptr<Input> in_;
  std::string name_;
  z_stream stream_{};
  bool between_ = true;  ///< at a member's border
};

class XzSource final : public Source {
 public:
  XzSource(std::unique_ptr<Input> in, std::string name) : in_(std::move(in)), name_(std::move(name)) {
    if (::lzma_stream_decoder(&stream_, kXzMemory, LZMA_CONCATENATED) != LZMA_OK) {
      throw Error(ErrorKind::Internal, "start unpacking {}", name_);
    }
  }
  ~XzSource() override { ::lzma_end(&stream_); }
  std::size_t read(std::span<std::uint8_t> into) override {
    stream_.next_out = into.data();
    stream_.avail_out = into.size();
    while (!done_ && stream_.avail_out == into.size() && !into.empty()) {
      const ByteView some = in_->peek();
      stream_.next_in = some.data();
      stream_.avail_in = some.size();
      const lzma_ret result = ::lzma_code(&stream_, some.empty() ? LZMA_FINISH : LZMA_RUN);
      in_->take(some.size() - stream_.avail_in);
      if (result == LZMA_STREAM_END) {
        done_ = true;
      } else if (result != LZMA_OK) {
        throw corrupt(name_, result == LZMA_MEMLIMIT_ERROR ? "xz needs more than 512 MiB" : "not a valid xz stream");
      }
    }
    return into.size() - stream_.avail_out;
  }

 private:
  std::unique_ptr<Input> in_;
  std::string name_;
  lzma_stream stream_ = LZMA_STREAM_INIT;
  bool done_ = false;
};

struct FreeZstd {
  void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

class ZstdSource final : public Source {
 public:
  ZstdSource(std::unique_ptr<Input> in, std::string name)
      : in_(std::move(in)), name_(std::move(name)), context_(ZSTD_createDCtx()) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    ZSTD_outBuffer out{into.data(), into.size(), 0};
    while (out.pos == 0 && out.size > 0) {
      const ByteView some = in_->peek();
      if (some.empty()) {
        if (!between_) {
          throw corrupt(name_, "the zstd stream ends too early");
        }
        break;
      }
      ZSTD_inBuffer in{some.data(), some.size(), 0};
      const std::size_t result = ZSTD_decompressStream(context_.get(), &out, &in);
      in_->take(in.pos);
      if (ZSTD_isError(result) != 0U) {
        throw corrupt(name_, "not a valid zstd stream");
      }
      between_ = result == 0;
    }
    return out.pos;
  }

 private:
  std::unique_ptr<Input> in_;
  std::string name_;
  std::unique_ptr<ZSTD_DCtx, FreeZstd> context_;
  bool between_ = true;
};

struct FreeDecompressor {
  void operator()(libdeflate_decompressor* d) const noexcept { libdeflate_free_decompressor(d); }
};

}  // namespace

struct Deflater::Free {
  void operator()(libdeflate_compressor* c) const noexcept { libdeflate_free_compressor(c); }
};
struct Deflater::State {
  std::unique_ptr<libdeflate_compressor, Free> compressor{libdeflate_alloc_compressor(kLevel)};
};

Deflater::Deflater() : state_(std::make_unique<State>()) { SLIP_CHECK(state_->compressor != nullptr); }
Deflater::~Deflater() = default;

Bytes Deflater::gzip_member(ByteView plain) const {
  // libdeflate's own gzip writer sets XFL from its level; raw DEFLATE leaves the header to us.
  const std::size_t bound = libdeflate_deflate_compress_bound(state_->compressor.get(), plain.size());
  Bytes out(kGzipHeader.size() + bound + 8);
  std::copy(kGzipHeader.begin(), kGzipHeader.end(), out.begin());
  const std::size_t n = libdeflate_deflate_compress(state_->compressor.get(), plain.data(), plain.size(),
                                                    out.data() + kGzipHeader.size(), bound);
  SLIP_CHECK(n != 0);
  out.resize(kGzipHeader.size() + n);
  const std::string trailer = gzip_trailer(crc32(0, plain), plain.size());
  out.insert(out.end(), trailer.begin(), trailer.end());
  return out;
}

std::uint32_t crc32(std::uint32_t so_far, ByteView bytes) noexcept {
  return libdeflate_crc32(so_far, bytes.data(), bytes.size());
}

ByteView gzip_header() noexcept { return kGzipHeader; }

std::string gzip_trailer(std::uint32_t crc, std::uint64_t size) {
  std::string out;
  put_le32(out, crc);
  put_le32(out, static_cast<std::uint32_t>(size));
  return out;
}

std::string deflater_id() { return format("libdeflate/{}/{}", std::string(LIBDEFLATE_VERSION_STRING), kLevel); }

void inflate_exact(Source& packed, std::uint64_t size, std::uint32_t crc, Sink& out, const std::string& what) {
  z_stream stream{};
  if (::inflateInit2(&stream, -15) != Z_OK) {
    throw Error(ErrorKind::Internal, "start inflating {}", what);
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, ::inflateEnd);
  Bytes in(kBuffer);
  Bytes plain(1u << 20);
  std::uint64_t total = 0;
  std::uint32_t seen = 0;
  int result = Z_OK;
  while (result != Z_STREAM_END) {
    if (stream.avail_in == 0) {
      stream.next_in = in.data();
      stream.avail_in = static_cast<uInt>(packed.read(in));
    }
    stream.next_out = plain.data();
    stream.avail_out = static_cast<uInt>(plain.size());
    result = ::inflate(&stream, Z_NO_FLUSH);
    const ByteView got = ByteView(plain).first(plain.size() - stream.avail_out);
    total += got.size();
    if ((result != Z_OK && result != Z_STREAM_END) || total > size ||
        (got.empty() && result != Z_STREAM_END && stream.avail_in != 0)) {
      throw corrupt(what, "not the DEFLATE stream its archive promises");
    }
    seen = crc32(seen, got);
    out.write(got);
  }
  if (total != size || seen != crc || stream.avail_in != 0 || packed.read(in) != 0) {
    throw corrupt(what, "size or CRC-32 differ from what its archive promises");
  }
}

void inflate_exact(ByteView packed, std::uint64_t size, std::uint32_t crc, Sink& out, const std::string& what) {
  if (size > kWholeBuffer) {
    MemorySource source(packed);
    inflate_exact(source, size, crc, out, what);
    return;
  }
  thread_local const std::unique_ptr<libdeflate_decompressor, FreeDecompressor> inflater(
      libdeflate_alloc_decompressor());
  thread_local Bytes plain;
  plain.resize(std::max<std::size_t>(plain.size(), size + 1));
  std::size_t used = 0;
  std::size_t got = 0;
  const libdeflate_result result =
      libdeflate_deflate_decompress_ex(inflater.get(), packed.data(), packed.size(), plain.data(), size, &used, &got);
  if (result != LIBDEFLATE_SUCCESS || used != packed.size() || got != size ||
      crc32(0, ByteView(plain).first(size)) != crc) {
    throw corrupt(what, "not the DEFLATE stream its archive promises");
  }
  out.write(ByteView(plain).first(size));
}

std::unique_ptr<Source> open_compressed(Source& from, std::string name) {
  auto in = std::make_unique<Input>(from);
  const ByteView start = in->peek(6);
  const auto begins = [&](std::initializer_list<std::uint8_t> magic) {
    return start.size() >= magic.size() && std::equal(magic.begin(), magic.end(), start.begin());
  };
  if (begins({0x1f, 0x8b})) {
    return std::make_unique<GzipSource>(std::move(in), std::move(name));
  }
  if (begins({0xfd, '7', 'z', 'X', 'Z', 0})) {
    return std::make_unique<XzSource>(std::move(in), std::move(name));
  }
  if (begins({0x28, 0xb5, 0x2f, 0xfd})) {
    return std::make_unique<ZstdSource>(std::move(in), std::move(name));
  }
  return std::make_unique<PlainSource>(std::move(in));
}

}  // namespace slip::codec
