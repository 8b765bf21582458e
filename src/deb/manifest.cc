#include "deb/manifest.h"

#include "core/error.h"

namespace slip::deb {
namespace {

constexpr std::string_view kMagic = "slipway-deb/2\n";

/// Numbers are little endian, texts carry their length in front.
class Writer {
 public:
  Writer() : out_(kMagic) {}
  void number(std::uint64_t value) {
    // Seven bits a byte: nearly all numbers here are small.
    while (value >= 0x80) {
      out_ += static_cast<char>((value & 0x7f) | 0x80);
      value >>= 7;
    }
    out_ += static_cast<char>(value);
  }
  void text(std::string_view value) {
    number(value.size());
    out_ += value;
  }
  template <class Pairs>
  void pairs(const Pairs& list) {
    number(list.size());
    for (const auto& [key, value] : list) {
      text(key);
      text(value);
    }
  }
  std::string take() { return std::move(out_); }

 private:
  std::string out_;
};

class Reader {
 public:
  Reader(std::string_view bytes, const std::filesystem::path& folder) : rest_(bytes), folder_(folder) {
    if (!rest_.starts_with(kMagic)) {
      fail();
    }
    rest_.remove_prefix(kMagic.size());
  }
  std::uint64_t number() {
    std::uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (rest_.empty()) {
        fail();
      }
      const auto byte = static_cast<unsigned char>(rest_.front());
      rest_.remove_prefix(1);
      value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) {
        return value;
      }
    }
    fail();
  }
  std::uint32_t small() {
    const std::uint64_t value = number();
    if (value > 0xffffffff) {
      fail();
    }
    return static_cast<std::uint32_t>(value);
  }
  std::string text() {
    const std::uint64_t size = number();
    if (size > rest_.size()) {
      fail();
    }
    std::string value(rest_.substr(0, size));
    rest_.remove_prefix(size);
    return value;
  }
  std::uint64_t count() {  // each thing takes a byte at least
    const std::uint64_t value = number();
    if (value > rest_.size()) {
      fail();
    }
    return value;
  }
  std::vector<std::pair<std::string, std::string>> pairs() {
    std::vector<std::pair<std::string, std::string>> list(count());
    for (auto& [key, value] : list) {
      key = text();
      value = text();
    }
    return list;
  }
  void end() const {
    if (!rest_.empty()) {
      fail();
    }
  }
  [[noreturn]] void fail() const {
    Error error(ErrorKind::Corrupt, "the unpacked package `{}` has a damaged manifest", folder_.string());
    error.add_hint("remove this folder; the next build unpacks the package again");
    throw error;
  }

 private:
  std::string_view rest_;
  const std::filesystem::path& folder_;
};

void write_entry(Writer& out, const codec::TarEntry& entry) {
  out.text(entry.path);
  out.number(static_cast<std::uint64_t>(entry.type));
  out.number(entry.mode);
  out.number(entry.uid);
  out.number(entry.gid);
  out.number(entry.size);
  out.number(static_cast<std::uint64_t>(entry.mtime));
  out.text(entry.link);
  out.number(entry.dev_major);
  out.number(entry.dev_minor);
  out.pairs(entry.xattrs);
}

codec::TarEntry read_entry(Reader& in) {
  codec::TarEntry entry;
  entry.path = in.text();
  const std::uint64_t type = in.number();
  if (type > static_cast<std::uint64_t>(codec::FileType::Fifo)) {
    in.fail();
  }
  entry.type = static_cast<codec::FileType>(type);
  entry.mode = in.small();
  entry.uid = in.small();
  entry.gid = in.small();
  entry.size = in.number();
  entry.mtime = static_cast<std::int64_t>(in.number());
  entry.link = in.text();
  entry.dev_major = in.small();
  entry.dev_minor = in.small();
  for (auto& [name, value] : in.pairs()) {
    entry.xattrs.emplace(std::move(name), std::move(value));
  }
  return entry;
}

}  // namespace

std::string write_manifest(const Unpacked& package) {
  Writer out;
  out.number(package.items.size());
  for (const codec::LayerItem& item : package.items) {
    write_entry(out, item.entry);
  }
  out.pairs(package.control);
  out.text(package.control_text);
  out.pairs(package.control_files);
  out.number(package.shipped.size());
  for (const std::string& path : package.shipped) {
    out.text(path);
  }
  out.pairs(package.conffiles);
  return out.take();
}

Unpacked read_manifest(std::string_view bytes, const std::filesystem::path& folder) {
  Reader in(bytes, folder);
  Unpacked package;
  package.folder = folder;
  const std::string root = (folder / "root").string() + "/";
  package.items.resize(in.count());
  for (codec::LayerItem& item : package.items) {
    item.entry = read_entry(in);
    if (item.entry.type == codec::FileType::Regular && item.entry.size > 0) {
      item.content = codec::FileContent{root + item.entry.path};
    }
  }
  for (auto& [key, value] : in.pairs()) {
    package.control.emplace(std::move(key), std::move(value));
  }
  package.control_text = in.text();
  package.control_files = in.pairs();
  package.shipped.resize(in.count());
  for (std::string& path : package.shipped) {
    path = in.text();
  }
  package.conffiles = in.pairs();
  in.end();
  if (!package.control.contains("Package")) {
    in.fail();
  }
  return package;
}

}  // namespace slip::deb
