#include "codec/zip.h"

#include <algorithm>
#include <numeric>
#include <set>

#include "codec/compress.h"
#include "core/error.h"
#include "core/text.h"

namespace slip::codec {
namespace {

constexpr std::uint32_t kEnd = 0x06054b50;
constexpr std::uint32_t kEnd64Locator = 0x07064b50;
constexpr std::uint32_t kEnd64 = 0x06064b50;
constexpr std::uint32_t kCentral = 0x02014b50;
constexpr std::uint32_t kLocal = 0x04034b50;
constexpr std::size_t kEndSize = 22;
constexpr std::size_t kMaxComment = 65535;

/// Numbers and names anywhere in the archive, through a window that is loaded as needed.
class Reader {
 public:
  Reader(const ReadAt& read, std::uint64_t size, const std::string& name, std::size_t window)
      : read_(read), size_(size), name_(name), most_(window) {}

  [[noreturn]] void fail(const std::string& what) const { throw Error(ErrorKind::Invalid, "{}: {}", name_, what); }

  std::uint64_t number(std::uint64_t at, unsigned size) const {
    const ByteView bytes = view(at, size);
    std::uint64_t value = 0;
    for (unsigned i = size; i-- > 0;) {
      value = (value << 8) | bytes[i];
    }
    return value;
  }
  std::uint16_t u16(std::uint64_t at) const { return static_cast<std::uint16_t>(number(at, 2)); }
  std::uint32_t u32(std::uint64_t at) const { return static_cast<std::uint32_t>(number(at, 4)); }
  std::uint64_t u64(std::uint64_t at) const { return number(at, 8); }
  std::string text(std::uint64_t at, std::uint64_t size) const {
    return std::string(as_text(view(at, static_cast<std::size_t>(size))));
  }
  [[nodiscard]] std::uint64_t size() const { return size_; }

 private:
  ByteView view(std::uint64_t at, std::size_t size) const {
    if (at > size_ || size > size_ - at) {
      fail("the zip archive is damaged: a field lies outside");
    }
    if (at < start_ || at + size > start_ + window_.size()) {
      start_ = at;
      window_.resize(static_cast<std::size_t>(std::min<std::uint64_t>(std::max(size, most_), size_ - at)));
      read_(at, window_);
    }
    return ByteView(window_).subspan(static_cast<std::size_t>(at - start_), size);
  }

  const ReadAt& read_;
  std::uint64_t size_;
  const std::string& name_;
  std::size_t most_;
  mutable std::uint64_t start_ = 0;
  mutable Bytes window_;
};

struct Directory {
  std::uint64_t entries = 0;
  std::uint64_t offset = 0;
  std::uint64_t size = 0;
};

Directory find_directory(const Reader& in) {
  if (in.size() < kEndSize) {
    in.fail("not a zip archive");
  }
  const std::uint64_t lowest = in.size() - std::min<std::uint64_t>(in.size(), kEndSize + kMaxComment);
  for (std::uint64_t at = in.size() - kEndSize + 1; at-- > lowest;) {
    if (in.u32(at) != kEnd || at + kEndSize + in.u16(at + 20) != in.size()) {
      continue;
    }
    Directory found{in.u16(at + 10), in.u32(at + 16), in.u32(at + 12)};
    const bool large = found.entries == 0xffff || found.offset == 0xffffffff || found.size == 0xffffffff;
    if (large && at >= 20 && in.u32(at - 20) == kEnd64Locator) {
      const std::uint64_t end64 = in.u64(at - 12);
      if (in.u32(end64) != kEnd64) {
        in.fail("the ZIP64 record is missing");
      }
      found = {in.u64(end64 + 32), in.u64(end64 + 48), in.u64(end64 + 40)};
    }
    if (found.offset > at || found.size > at - found.offset) {
      in.fail("the zip directory lies outside the archive");
    }
    return found;
  }
  in.fail("not a zip archive: its directory is missing");
}

/// Sizes and offset of 0xffffffff stand in the ZIP64 extra field instead, in this order, only those needed.
void read_zip64(const Reader& in, std::uint64_t extra, std::uint64_t extra_size, ZipEntry& entry,
                std::uint64_t& local) {
  const std::uint64_t end = extra + extra_size;
  while (extra + 4 <= end) {
    const std::uint16_t id = in.u16(extra);
    const std::uint16_t size = in.u16(extra + 2);
    std::uint64_t at = extra + 4;
    extra = at + size;
    if (id != 1 || extra > end) {
      continue;
    }
    for (std::uint64_t* value : {&entry.size, &entry.compressed_size, &local}) {
      if (*value == 0xffffffff) {
        if (at + 8 > extra) {
          in.fail("a ZIP64 field is too short");
        }
        *value = in.u64(at);
        at += 8;
      }
    }
  }
}

void check_name(const Reader& in, std::string_view name) {
  const bool bad_byte = name.find('\0') != std::string_view::npos || name.find('\\') != std::string_view::npos;
  std::string_view rest = name;
  if (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  const std::vector<std::string_view> parts = split(rest, '/');
  const bool bad_part =
      std::any_of(parts.begin(), parts.end(), [](std::string_view p) { return p.empty() || p == "." || p == ".."; });
  if (bad_byte || bad_part || name.size() > 4096) {
    in.fail(format("the entry name `{}` is not allowed", printable(name)));
  }
}

/// Where the data begins: the local header's own name and extra lengths count, they may differ from the directory's.
std::uint64_t data_offset(const Reader& in, std::uint64_t local, std::string_view name) {
  if (in.u32(local) != kLocal) {
    in.fail(format("entry `{}` has no local header", printable(name)));
  }
  return local + 30 + in.u16(local + 26) + in.u16(local + 28);
}

/// Each entry, local header and data, must end where the next one's local header begins; `locals` are the headers'
/// offsets, one an entry.
void refuse_overlaps(const Reader& in, const std::vector<ZipEntry>& entries, const std::vector<std::uint64_t>& locals,
                     std::uint64_t end) {
  std::vector<std::size_t> order(entries.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return locals[a] < locals[b]; });
  for (std::size_t i = 0; i < order.size(); ++i) {
    const ZipEntry& entry = entries[order[i]];
    const std::uint64_t limit = i + 1 < order.size() ? locals[order[i + 1]] : end;
    if (entry.data_offset > limit || entry.compressed_size > limit - entry.data_offset) {
      in.fail(format("entry `{}` overlaps what follows it", printable(entry.name)));
    }
  }
}

}  // namespace

std::vector<ZipEntry> read_zip(ByteView archive, const std::string& name, const ZipLimits& limits) {
  const ReadAt read = [archive](std::uint64_t offset, std::span<std::uint8_t> into) {
    std::copy_n(archive.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  };
  return read_zip(read, archive.size(), name, limits);
}

std::vector<ZipEntry> read_zip(const ReadAt& read, std::uint64_t size, const std::string& name,
                               const ZipLimits& limits) {
  const Reader tail(read, size, name, kEndSize + kMaxComment);
  const Directory directory = find_directory(tail);
  const Reader in(read, size, name, 256 * 1024);
  const Reader heads(read, size, name, 32);
  if (directory.entries > limits.max_entries) {
    in.fail("too many entries");
  }
  std::vector<ZipEntry> entries;
  entries.reserve(static_cast<std::size_t>(directory.entries));
  std::vector<std::uint64_t> locals;
  std::set<std::string> seen;
  std::uint64_t at = directory.offset;
  std::uint64_t total = 0;
  for (std::uint64_t i = 0; i < directory.entries; ++i) {
    if (in.u32(at) != kCentral) {
      in.fail("the zip directory is damaged");
    }
    const std::uint16_t flags = in.u16(at + 8);
    const std::uint16_t method = in.u16(at + 10);
    const std::uint16_t name_size = in.u16(at + 28);
    const std::uint16_t extra_size = in.u16(at + 30);
    const std::string text = in.text(at + 46, name_size);
    check_name(in, text);
    ZipEntry entry;
    entry.name = text;
    entry.stored = method == 0;
    entry.crc32 = in.u32(at + 16);
    entry.compressed_size = in.u32(at + 20);
    entry.size = in.u32(at + 24);
    std::uint64_t local = in.u32(at + 42);
    read_zip64(in, at + 46 + name_size, extra_size, entry, local);
    if (in.u16(at + 4) >> 8 == 3) {  // made by unix
      entry.unix_mode = in.u32(at + 38) >> 16;
    }
    if ((flags & 0x2041) != 0) {
      in.fail(format("entry `{}` is encrypted", printable(text)));
    }
    if ((method != 0 && method != 8) || (entry.stored && entry.size != entry.compressed_size)) {
      in.fail(format("entry `{}` is compressed by method {}", printable(text), method));
    }
    total += entry.size;
    if (entry.size > limits.max_entry_size || total > limits.max_total_size) {
      in.fail(format("entry `{}` is too large", printable(text)));
    }
    entry.data_offset = data_offset(heads, local, text);
    if (!seen.insert(text).second) {
      in.fail(format("entry `{}` stands in it twice", printable(text)));
    }
    entries.push_back(std::move(entry));
    locals.push_back(local);
    at += 46 + name_size + extra_size + in.u16(at + 32);
  }
  refuse_overlaps(in, entries, locals, directory.offset);
  return entries;
}

void unpack_zip_entry(ByteView packed, const ZipEntry& entry, Sink& out, const std::string& name) {
  const std::string what = name + ":" + printable(entry.name);
  if (!entry.stored) {
    inflate_exact(packed, entry.size, entry.crc32, out, what);
    return;
  }
  if (crc32(0, packed) != entry.crc32) {
    throw Error(ErrorKind::Corrupt, "unpack {}: CRC-32 differs from what its archive promises", what);
  }
  out.write(packed);
}

void extract_zip(ByteView archive, const ZipEntry& entry, Sink& out, const std::string& name) {
  unpack_zip_entry(
      archive.subspan(static_cast<std::size_t>(entry.data_offset), static_cast<std::size_t>(entry.compressed_size)),
      entry, out, name);
}

}  // namespace slip::codec
