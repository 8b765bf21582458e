#include "codec/zstd_frame.h"

#include <zstd.h>

#include "core/error.h"

namespace slip::codec {
namespace {

constexpr int kLevel = 9;

}  // namespace

struct ZstdCompressor::Free {
  void operator()(ZSTD_CCtx* context) const noexcept { ZSTD_freeCCtx(context); }
};
struct ZstdCompressor::State {
  std::unique_ptr<ZSTD_CCtx, Free> context{ZSTD_createCCtx()};
};

ZstdCompressor::ZstdCompressor() : state_(std::make_unique<State>()) {
  ZSTD_CCtx* context = state_->context.get();
  SLIP_CHECK(context != nullptr);
  SLIP_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, kLevel)) == 0U);
  SLIP_CHECK(ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)) == 0U);
}
ZstdCompressor::~ZstdCompressor() = default;

Bytes ZstdCompressor::frame(ByteView plain) const {
  Bytes out(ZSTD_compressBound(plain.size()));
  const std::size_t n = ZSTD_compress2(state_->context.get(), out.data(), out.size(), plain.data(), plain.size());
  SLIP_CHECK(ZSTD_isError(n) == 0U);
  out.resize(n);
  return out;
}

std::string zstd_id() { return format("libzstd/{}/{}", std::string(ZSTD_versionString()), kLevel); }

}  // namespace slip::codec
