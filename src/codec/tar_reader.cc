#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

#include "codec/tar.h"
#include "core/error.h"
#include "core/text.h"

namespace slip::codec {
namespace {

constexpr std::size_t kBlock = 512;
using Block = std::array<std::uint8_t, kBlock>;

std::string_view field(const Block& block, std::size_t at, std::size_t size) {
  const std::string_view all = as_text(ByteView(block).subspan(at, size));
  return all.substr(0, all.find('\0'));
}

/// What an extension header said about the next entry.
struct Overrides {
  std::optional<std::string> path;
  std::optional<std::string> link;
  std::optional<std::uint64_t> size;
  std::optional<std::uint64_t> uid;
  std::optional<std::uint64_t> gid;
  std::optional<std::int64_t> mtime;
  std::map<std::string, std::string> xattrs;
};

}  // namespace

struct TarReader::State {
  State(Source& source, const TarLimits& l) : from(source), limits(l) {}

  Source& from;
  TarLimits limits;
  std::uint64_t offset = 0;   ///< of the next byte in the archive
  std::uint64_t left = 0;     ///< content bytes of the current entry not yet read
  std::uint64_t padding = 0;  ///< bytes behind them
  std::uint64_t entries = 0;
  std::uint64_t total = 0;
  bool done = false;

  [[noreturn]] void fail(const std::string& what) const {
    throw Error(ErrorKind::Invalid, "tar archive at byte {}: {}", offset, what);
  }

  bool read_block(Block& block) {
    const std::size_t n = read_full(from, block);
    offset += n;
    if (n != 0 && n != kBlock) {
      fail("it ends inside a header");
    }
    return n == kBlock;
  }

  void skip(std::uint64_t n) {
    std::array<std::uint8_t, 16384> buffer;
    while (n > 0) {
      const std::size_t got =
          from.read(std::span(buffer).first(static_cast<std::size_t>(std::min<std::uint64_t>(n, buffer.size()))));
      if (got == 0) {
        fail("it ends inside an entry");
      }
      n -= got;
      offset += got;
    }
  }

  /// Octal, or GNU's base-256 when the top bit is set.
  std::uint64_t number(const Block& block, std::size_t at, std::size_t size) const {
    if ((block[at] & 0x80) != 0) {
      if (block[at] != 0x80) {
        fail("a negative or oversized number");
      }
      std::uint64_t value = 0;
      for (std::size_t i = at + 1; i < at + size; ++i) {
        if (value >> 56 != 0) {
          fail("a number too large");
        }
        value = (value << 8) | block[i];
      }
      return value;
    }
    const std::string_view text = trim(field(block, at, size));
    std::uint64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, 8);
    if (!text.empty() && (error != std::errc() || end != text.data() + text.size())) {
      fail(format("`{}` is not an octal number", printable(text)));
    }
    return value;
  }

  void check_checksum(const Block& block) const {
    unsigned sum = 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
      sum += i >= 148 && i < 156 ? ' ' : block[i];
    }
    if (number(block, 148, 8) != sum) {
      fail("a header's checksum is wrong");
    }
  }

  std::string read_extension(std::uint64_t size) {
    if (size > limits.max_pax) {
      fail("an extension header is too large");
    }
    std::string text(static_cast<std::size_t>(size), '\0');
    const std::size_t n = read_full(from, {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
    offset += n;
    if (n != text.size()) {
      fail("it ends inside an extension header");
    }
    skip(tar_padding(size));
    return text;
  }

  template <class Number>
  Number decimal(std::string_view text) const {
    Number value{};
    text = text.substr(0, text.find('.'));  // times may have a fraction
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || text.empty()) {
      fail(format("`{}` is not a number", printable(text)));
    }
    return value;
  }

  void read_pax(std::string_view records, Overrides& over) const {
    while (!records.empty()) {
      const std::size_t space = records.find(' ');
      if (space == std::string_view::npos || space > 10) {
        fail("a PAX record without a length");
      }
      const auto length = decimal<std::size_t>(records.substr(0, space));
      if (length <= space + 1 || length > records.size() || records[length - 1] != '\n') {
        fail("a PAX record's length is wrong");
      }
      const std::string_view record = records.substr(space + 1, length - space - 2);
      records.remove_prefix(length);
      const std::size_t equals = record.find('=');
      if (equals == std::string_view::npos) {
        fail("a PAX record without `=`");
      }
      apply(record.substr(0, equals), record.substr(equals + 1), over);
    }
  }

  void apply(std::string_view key, std::string_view value, Overrides& over) const {
    constexpr std::string_view kXattr = "SCHILY.xattr.";
    if (key == "path") {
      over.path = std::string(value);
    } else if (key == "linkpath") {
      over.link = std::string(value);
    } else if (key == "size") {
      over.size = decimal<std::uint64_t>(value);
    } else if (key == "uid") {
      over.uid = decimal<std::uint64_t>(value);
    } else if (key == "gid") {
      over.gid = decimal<std::uint64_t>(value);
    } else if (key == "mtime") {
      over.mtime = decimal<std::int64_t>(value);
    } else if (key.starts_with("GNU.sparse.")) {
      fail("a sparse file: what the archive holds of it is not its content");
    } else if (key.starts_with(kXattr)) {
      over.xattrs[std::string(key.substr(kXattr.size()))] = std::string(value);
    }
  }

  /// "./usr/bin/" → "usr/bin"; nullopt for the root itself.
  std::optional<std::string> normal(std::string_view name, bool leading_slash_allowed) const {
    if (name.size() > limits.max_path || name.find('\0') != std::string_view::npos) {
      fail("a name is too long or holds NUL");
    }
    if (name.starts_with('/') && !leading_slash_allowed) {
      fail(format("the hard link target `{}` is absolute", printable(name)));
    }
    std::string out;
    for (const std::string_view part : split(name, '/')) {
      if (part.empty() || part == ".") {
        continue;
      }
      if (part == "..") {
        fail(format("the name `{}` holds `..`", printable(name)));
      }
      if (!out.empty()) {
        out += '/';
      }
      out += part;
    }
    if (out.empty()) {
      return std::nullopt;
    }
    return out;
  }

  std::optional<FileType> type_of(std::uint8_t flag, std::string_view name) const {
    switch (flag) {
      case 0:
      case '0':
      case '7': return name.ends_with('/') ? FileType::Directory : FileType::Regular;
      case '1': return FileType::HardLink;
      case '2': return FileType::Symlink;
      case '3': return FileType::CharDevice;
      case '4': return FileType::BlockDevice;
      case '5': return FileType::Directory;
      case '6': return FileType::Fifo;
      default: return std::nullopt;
    }
  }

  std::uint32_t narrow(std::uint64_t value) const {
    if (value > 0xffffffffU) {
      fail("an id is too large");
    }
    return static_cast<std::uint32_t>(value);
  }

  /// ustar has seven octal digits, and PAX no record for more; Linux needs 12 and 20 bits.
  std::uint32_t device(std::uint64_t value) const {
    if (value > 07777777) {
      fail("a device number is too large");
    }
    return static_cast<std::uint32_t>(value);
  }

  std::optional<TarEntry> entry_from(const Block& block, const Overrides& over) {
    std::string name(field(block, 0, 100));
    const bool ustar = std::memcmp(block.data() + 257, "ustar", 5) == 0;
    if (ustar && block[262] == 0) {
      if (const std::string_view prefix = field(block, 345, 155); !prefix.empty()) {
        name = std::string(prefix) + "/" + name;
      }
    }
    name = over.path.value_or(name);
    const auto type = type_of(block[156], name);
    if (!type) {
      fail(format("entry `{}` is of unknown type {}", printable(name), static_cast<unsigned>(block[156])));
    }
    TarEntry entry;
    entry.type = *type;
    entry.mode = static_cast<std::uint32_t>(number(block, 100, 8) & 07777);
    entry.uid = narrow(over.uid ? *over.uid : number(block, 108, 8));
    entry.gid = narrow(over.gid ? *over.gid : number(block, 116, 8));
    entry.mtime = over.mtime ? *over.mtime : static_cast<std::int64_t>(number(block, 136, 12));
    const std::uint64_t size = over.size ? *over.size : number(block, 124, 12);
    entry.size = entry.type == FileType::Regular ? size : 0;
    entry.xattrs = over.xattrs;
    if (entry.type == FileType::CharDevice || entry.type == FileType::BlockDevice) {
      entry.dev_major = device(number(block, 329, 8));
      entry.dev_minor = device(number(block, 337, 8));
    }
    if (size > limits.max_entry_size || (total += size) > limits.max_total_size) {
      fail(format("entry `{}` is too large", printable(name)));
    }
    // Only regular files have content; some writers give links the size of their target without any.
    left = entry.type == FileType::Regular ? size : 0;
    padding = tar_padding(left);
    const std::string link = over.link.value_or(std::string(field(block, 157, 100)));
    if (entry.type == FileType::Symlink) {
      if (link.empty() || link.size() > limits.max_path || link.find('\0') != std::string::npos) {
        fail(format("symbolic link `{}` has no usable target", printable(name)));
      }
      entry.link = link;
    } else if (entry.type == FileType::HardLink) {
      entry.link = normal(link, false).value_or("");
      if (entry.link.empty()) {
        fail(format("hard link `{}` has no target", printable(name)));
      }
    }
    const auto path = normal(name, true);
    if (!path) {
      if (entry.type != FileType::Directory) {
        fail("an entry has no name");
      }
      return std::nullopt;
    }
    entry.path = *path;
    return entry;
  }
};

namespace {

/// Content of the current entry.
class EntrySource final : public Source {
 public:
  EntrySource(Source& from, std::uint64_t& left, std::uint64_t& offset) : from_(from), left_(left), offset_(offset) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    if (left_ == 0 || into.empty()) {
      return 0;
    }
    const std::size_t n = from_.read(into.first(static_cast<std::size_t>(std::min<std::uint64_t>(into.size(), left_))));
    if (n == 0) {
      throw Error(ErrorKind::Invalid, "tar archive at byte {}: it ends inside an entry", offset_);
    }
    left_ -= n;
    offset_ += n;
    return n;
  }

 private:
  Source& from_;
  std::uint64_t& left_;
  std::uint64_t& offset_;
};

}  // namespace

TarReader::TarReader(Source& from, const TarLimits& limits)
    : state_(std::make_unique<State>(from, limits)),
      content_(std::make_unique<EntrySource>(from, state_->left, state_->offset)) {}
TarReader::~TarReader() = default;

std::optional<TarEntry> TarReader::next() {
  State& s = *state_;
  s.skip(s.left + s.padding);
  s.left = s.padding = 0;
  Overrides over;
  Block block;
  while (!s.done) {
    if (!s.read_block(block) || std::all_of(block.begin(), block.end(), [](std::uint8_t b) { return b == 0; })) {
      s.done = true;
      break;
    }
    s.check_checksum(block);
    if (++s.entries > s.limits.max_entries) {
      s.fail("too many entries");
    }
    const std::uint64_t size = s.number(block, 124, 12);
    switch (block[156]) {
      case 'x': s.read_pax(s.read_extension(size), over); continue;
      case 'g': s.read_extension(size); continue;
      case 'L':
      case 'K': {
        std::string text = s.read_extension(size);
        text.resize(std::min(text.find('\0'), text.size()));
        (block[156] == 'L' ? over.path : over.link) = std::move(text);
        continue;
      }
      default: break;
    }
    if (auto entry = s.entry_from(block, over)) {
      return entry;
    }
    s.skip(s.left + s.padding);
    s.left = s.padding = 0;
    over = {};
  }
  return std::nullopt;
}

Source& TarReader::content() { return *content_; }

}  // namespace slip::codec
