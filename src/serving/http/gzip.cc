#include "serving/http/gzip.h"

#include <zlib.h>

#include <algorithm>
#include <memory>

namespace slip::serving {

Result<std::string> inflate_gzip(std::string_view bytes, std::size_t limit) {
  z_stream stream{};
  constexpr int kGzipOnly = 15 + 16;
  if (::inflateInit2(&stream, kGzipOnly) != Z_OK) {
    return fail(Code::ResourceExhausted, "no memory to inflate the request");
  }
  const std::unique_ptr<z_stream, int (*)(z_stream*)> end(&stream, ::inflateEnd);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  int state = Z_OK;
  while (state == Z_OK) {
    const std::size_t have = out.size();
    if (have > limit) {
      return invalid("the gzip body inflates to more than " + std::to_string(limit) + " bytes");
    }
    out.resize(have + std::max<std::size_t>(bytes.size() * 2, 16 << 10));
    stream.next_out = reinterpret_cast<Bytef*>(out.data() + have);
    stream.avail_out = static_cast<uInt>(out.size() - have);
    state = ::inflate(&stream, Z_NO_FLUSH);
    out.resize(out.size() - stream.avail_out);
  }
  if (state != Z_STREAM_END || out.size() > limit) {
    return invalid("Failed to uncompress the gzip body of the request");
  }
  return out;
}

}  // namespace slip::serving
