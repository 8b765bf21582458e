#include "codec/tar.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "core/error.h"

namespace slip::codec {
namespace {

constexpr std::size_t kBlock = 512;

/// Offsets and sizes of the ustar header's fields. @source POSIX.1-2017 pax "ustar Interchange Format"
struct Field {
  std::size_t at;
  std::size_t size;
};
constexpr Field kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12}, kMtime{136, 12},
    kChecksum{148, 8}, kType{156, 1}, kLink{157, 100}, kMagic{257, 6}, kVersion{263, 2}, kMajor{329, 8}, kMinor{337, 8},
    kPrefix{345, 155};

using Block = std::array<char, kBlock>;

void put_text(Block& block, Field field, std::string_view text) {
  SLIP_CHECK(text.size() <= field.size);
  std::copy(text.begin(), text.end(), block.begin() + static_cast<std::ptrdiff_t>(field.at));
}

/// size-1 octal digits and a NUL.
void put_octal(Block& block, Field field, std::uint64_t value) {
  for (std::size_t i = field.size - 1; i-- > 0;) {
    block[field.at + i] = static_cast<char>('0' + (value & 7));
    value >>= 3;
  }
  SLIP_CHECK(value == 0);
}

bool fits_octal(std::uint64_t value, Field field) { return value >> (3 * (field.size - 1)) == 0; }

char type_flag(FileType type) {
  switch (type) {
    case FileType::Regular: return '0';
    case FileType::HardLink: return '1';
    case FileType::Symlink: return '2';
    case FileType::CharDevice: return '3';
    case FileType::BlockDevice: return '4';
    case FileType::Directory: return '5';
    case FileType::Fifo: return '6';
  }
  return '0';
}

bool is_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
}

/// Where to cut `name` into prefix and name; npos: it does not fit ustar. 0: no prefix needed.
std::size_t ustar_split(std::string_view name) {
  if (name.size() <= kName.size) {
    return 0;
  }
  // The cut must leave a non-empty name of at most 100 bytes; a directory's trailing slash belongs to it.
  const std::size_t first = name.size() - kName.size - 1;
  for (std::size_t i = first; i <= std::min(kPrefix.size, name.size() - 2); ++i) {
    if (name[i] == '/') {
      return i;
    }
  }
  return std::string_view::npos;
}

void put_checksum(Block& block) {
  std::fill_n(block.begin() + kChecksum.at, kChecksum.size, ' ');
  unsigned sum = 0;
  for (const char c : block) {
    sum += static_cast<unsigned char>(c);
  }
  put_octal(block, {kChecksum.at, 7}, sum);
  block[kChecksum.at + 7] = ' ';
}

/// One "LENGTH key=value\n" record; the length counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
  const std::size_t rest = key.size() + value.size() + 3;
  std::size_t length = rest + 1;
  while (length != rest + std::to_string(length).size()) {
    length = rest + std::to_string(length).size();
  }
  std::string record = std::to_string(length);
  record += ' ';
  record += key;
  record += '=';
  record += value;
  record += '\n';
  return record;
}

std::string padded(std::string text) {
  text.resize(text.size() + tar_padding(text.size()), '\0');
  return text;
}

struct Records {
  std::map<std::string, std::string> all;  // sorted: same entry, same bytes
  [[nodiscard]] std::string text() const {
    std::string out;
    for (const auto& [key, value] : all) {
      out += pax_record(key, value);
    }
    return out;
  }
};

std::string stored_name(const TarEntry& entry) {
  return entry.type == FileType::Directory ? entry.path + "/" : entry.path;
}

}  // namespace

std::string tar_header(const TarEntry& entry) {
  SLIP_CHECK(!entry.path.empty());
  const std::string name = stored_name(entry);
  Records pax;
  std::size_t cut = ustar_split(name);
  if (cut == std::string_view::npos || !is_ascii(name)) {
    pax.all["path"] = name;
  }
  if (entry.link.size() > kLink.size || !is_ascii(entry.link)) {
    pax.all["linkpath"] = entry.link;
  }
  if (!fits_octal(entry.size, kSize)) {
    pax.all["size"] = std::to_string(entry.size);
  }
  if (!fits_octal(entry.uid, kUid)) {
    pax.all["uid"] = std::to_string(entry.uid);
  }
  if (!fits_octal(entry.gid, kGid)) {
    pax.all["gid"] = std::to_string(entry.gid);
  }
  const bool odd_time = entry.mtime < 0 || !fits_octal(static_cast<std::uint64_t>(entry.mtime), kMtime);
  if (odd_time) {
    pax.all["mtime"] = std::to_string(entry.mtime);
  }
  for (const auto& [key, value] : entry.xattrs) {
    pax.all["SCHILY.xattr." + key] = value;
  }

  Block block{};
  if (pax.all.contains("path")) {
    cut = 0;
    put_text(block, kName, std::string_view(name).substr(0, kName.size));
  } else if (cut == 0) {
    put_text(block, kName, name);
  } else {
    put_text(block, kPrefix, std::string_view(name).substr(0, cut));
    put_text(block, kName, std::string_view(name).substr(cut + 1));
  }
  put_octal(block, kMode, entry.type == FileType::Symlink ? 0777 : entry.mode & 07777U);
  put_octal(block, kUid, fits_octal(entry.uid, kUid) ? entry.uid : 0);
  put_octal(block, kGid, fits_octal(entry.gid, kGid) ? entry.gid : 0);
  put_octal(block, kSize, fits_octal(entry.size, kSize) ? entry.size : 0);
  put_octal(block, kMtime, odd_time ? 0 : static_cast<std::uint64_t>(entry.mtime));
  block[kType.at] = type_flag(entry.type);
  put_text(block, kLink, std::string_view(entry.link).substr(0, kLink.size));
  put_text(block, kMagic, std::string_view("ustar\0", 6));
  put_text(block, kVersion, "00");
  put_octal(block, kMajor, entry.dev_major);
  put_octal(block, kMinor, entry.dev_minor);
  put_checksum(block);

  std::string out;
  if (!pax.all.empty()) {
    const std::string records = pax.text();
    Block header{};
    put_text(header, kName, "pax");
    put_octal(header, kMode, 0644);
    put_octal(header, kUid, 0);
    put_octal(header, kGid, 0);
    put_octal(header, kSize, records.size());
    put_octal(header, kMtime, 0);
    header[kType.at] = 'x';
    put_text(header, kMagic, std::string_view("ustar\0", 6));
    put_text(header, kVersion, "00");
    put_octal(header, kMajor, 0);
    put_octal(header, kMinor, 0);
    put_checksum(header);
    out.append(header.data(), header.size());
    out += padded(records);
  }
  out.append(block.data(), block.size());
  return out;
}

std::string tar_end() { return std::string(2 * kBlock, '\0'); }

}  // namespace slip::codec
