#include "codec/layer.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "codec/compress.h"
#include "codec/compression.h"
#include "codec/sha256.h"
#include "codec/zstd_frame.h"
#include "core/error.h"

namespace slip::codec {
namespace {

// Of tar bytes per gzip member or zstd frame. zstd finds matches megabytes away: smaller frames cost it 5 % and more.
constexpr std::size_t kGzipBlock = 1u << 20;
constexpr std::size_t kZstdBlock = 8u << 20;
constexpr std::size_t kRead = 256 * 1024;  // of a file at a time
constexpr std::string_view kGzipFamily = "gzip-members/1 ";
constexpr std::string_view kZstdFamily = "zstd-frames/1 ";

std::string stored_name(const TarEntry& entry) {
  return entry.type == FileType::Directory ? entry.path + "/" : entry.path;
}

/// One open file of the host, read or copied in pieces.
class HostFile {
 public:
  explicit HostFile(const std::filesystem::path& path)
      : name_(path.string()), fd_(::open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    if (fd_ < 0) {
      const int why = errno;
      throw Error(why == ENOENT ? ErrorKind::NotFound : ErrorKind::Denied, "open `{}`: {}", name_, errno_text(why));
    }
  }
  HostFile(const HostFile&) = delete;
  HostFile& operator=(const HostFile&) = delete;
  ~HostFile() { ::close(fd_); }

  std::size_t read_at(std::span<std::uint8_t> into, std::uint64_t offset) const {
    while (true) {
      const ssize_t n = ::pread(fd_, into.data(), into.size(), static_cast<off_t>(offset));
      if (n >= 0) {
        return static_cast<std::size_t>(n);
      }
      if (errno != EINTR) {
        throw Error(ErrorKind::Internal, "read `{}`: {}", name_, errno_text(errno));
      }
    }
  }

 private:
  std::string name_;
  int fd_;
};

/// One block of a tar as a gzip member or a zstd frame.
class BlockEncoder {
 public:
  explicit BlockEncoder(Compression compression) {
    if (compression == Compression::Zstd) {
      zstd_.emplace();
    } else {
      deflater_.emplace();
    }
  }
  [[nodiscard]] bool takes_deflate() const noexcept { return deflater_.has_value(); }
  [[nodiscard]] std::size_t block() const noexcept { return zstd_ ? kZstdBlock : kGzipBlock; }
  [[nodiscard]] Bytes encode(ByteView plain) const {
    return zstd_ ? zstd_->frame(plain) : deflater_->gzip_member(plain);
  }

 private:
  std::optional<Deflater> deflater_;
  std::optional<ZstdCompressor> zstd_;
};

/// Turns a stream of tar bytes into members of fixed blocks, with foreign DEFLATE streams in between.
class LayerWriter {
 public:
  /// @param hash_tar  without it finish() knows no diff_id, and the plain twin of spliced content is not read
  LayerWriter(Compression compression, Sink& out, bool hash_tar)
      : out_(&out), hash_tar_(hash_tar), encoder_(compression), buffer_(kRead) {
    pending_.reserve(encoder_.block());
  }

  void add(const LayerItem& item) {
    append(as_bytes(tar_header(item.entry)));
    if (item.entry.type != FileType::Regular || item.entry.size == 0) {
      return;
    }
    if (const auto* text = std::get_if<InlineContent>(&item.content)) {
      check_size(item, text->bytes.size());
      append(as_bytes(text->bytes));
    } else if (const auto* file = std::get_if<FileContent>(&item.content)) {
      add_file(item, *file);
    } else if (const auto* spliced = std::get_if<SplicedContent>(&item.content)) {
      if (encoder_.takes_deflate()) {
        add_spliced(item, *spliced);
      } else {
        add_plain(item, *spliced);
      }
    } else {
      throw Error(ErrorKind::Internal, "layer item `{}` has a size but no content", item.entry.path);
    }
    append(ByteView(kZeros).first(static_cast<std::size_t>(tar_padding(item.entry.size))));
  }

  EncodedLayer finish() {
    append(as_bytes(tar_end()));
    flush();
    return {out_.finish(), diff_.finish(), out_.size(), tar_size_};
  }

 private:
  static void check_size(const LayerItem& item, std::uint64_t found) {
    if (found != item.entry.size) {
      throw Error(ErrorKind::Corrupt, "`{}` has {} bytes, its entry says {}", item.entry.path, found, item.entry.size);
    }
  }

  /// Tar bytes that we compress ourselves.
  void append(ByteView bytes) {
    hash(bytes);
    while (!bytes.empty()) {
      const std::size_t n = std::min(bytes.size(), encoder_.block() - pending_.size());
      pending_.insert(pending_.end(), bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(n));
      bytes = bytes.subspan(n);
      if (pending_.size() == encoder_.block()) {
        flush();
      }
    }
  }

  void hash(ByteView tar) {
    if (hash_tar_) {
      diff_.update(tar);
    }
    tar_size_ += tar.size();
  }

  void flush() {
    if (!pending_.empty()) {
      out_.write(encoder_.encode(pending_));
      pending_.clear();
    }
  }

  void add_file(const LayerItem& item, const FileContent& content) {
    const HostFile file(content.path);
    std::uint64_t at = 0;
    while (true) {
      const std::size_t n = file.read_at(buffer_, at);
      if (n == 0) {
        break;
      }
      at += n;
      if (at > item.entry.size) {
        break;
      }
      append(ByteView(buffer_).first(n));
    }
    check_size(item, at);
  }

  /// The archive's own bytes as a member; what they inflate to is hashed from the file they were unpacked to.
  void add_spliced(const LayerItem& item, const SplicedContent& content) {
    flush();
    out_.write(gzip_header());
    const HostFile archive(content.archive);
    for (std::uint64_t done = 0; done < content.compressed_size;) {
      const std::size_t want =
          static_cast<std::size_t>(std::min<std::uint64_t>(buffer_.size(), content.compressed_size - done));
      const std::size_t n = archive.read_at(std::span(buffer_).first(want), content.offset + done);
      if (n == 0) {
        throw Error(ErrorKind::Corrupt, "`{}` ends inside `{}`", content.archive.string(), item.entry.path);
      }
      out_.write(ByteView(buffer_).first(n));
      done += n;
    }
    out_.write(as_bytes(gzip_trailer(content.crc32, item.entry.size)));

    if (hash_tar_) {
      read_plain(item, content, [&](ByteView some) { hash(some); });
    } else {
      tar_size_ += item.entry.size;
    }
  }

  /// For an encoder that has no use for DEFLATE: what the stream inflates to.
  void add_plain(const LayerItem& item, const SplicedContent& content) {
    read_plain(item, content, [&](ByteView some) { append(some); });
  }

  template <class Each>
  void read_plain(const LayerItem& item, const SplicedContent& content, const Each& each) {
    const HostFile plain(content.plain);
    std::uint64_t at = 0;
    std::uint32_t crc = 0;
    while (const std::size_t n = plain.read_at(buffer_, at)) {
      const ByteView some = ByteView(buffer_).first(n);
      each(some);
      crc = crc32(crc, some);
      at += n;
    }
    check_size(item, at);
    if (crc != content.crc32) {
      throw Error(ErrorKind::Corrupt, "`{}` in the store differs from `{}`", content.plain.string(),
                  content.archive.string());
    }
  }

  static constexpr std::array<std::uint8_t, 512> kZeros{};
  HashSink out_;
  const bool hash_tar_;
  Sha256 diff_;
  BlockEncoder encoder_;
  Bytes pending_;
  Bytes buffer_;
  std::uint64_t tar_size_ = 0;
};

bool same_folder(const LayerItem& a, const LayerItem& b) {
  return a.entry.type == FileType::Directory && b.entry.type == FileType::Directory;
}

/// Two packages may ship one path when nobody can tell which one won.
bool same_content(const LayerItem& a, const LayerItem& b) {
  TarEntry left = a.entry;
  left.mtime = b.entry.mtime;
  if (!(left == b.entry)) {
    return false;
  }
  if (a.content == b.content) {
    return true;
  }
  const auto* one = std::get_if<SplicedContent>(&a.content);
  const auto* two = std::get_if<SplicedContent>(&b.content);
  return one != nullptr && two != nullptr && one->crc32 == two->crc32;
}

/// True when an item is stored under `name`; `items` are sorted by stored name.
bool holds(const std::vector<LayerItem>& items, const std::string& name) {
  const auto at = std::lower_bound(items.begin(), items.end(), name, [](const LayerItem& item, const std::string& n) {
    return stored_name(item.entry) < n;
  });
  return at != items.end() && stored_name(at->entry) == name;
}

}  // namespace

std::string encoder_id() { return encoder_id(Compression::Gzip); }

std::string encoder_id(Compression compression) {
  return compression == Compression::Zstd ? std::string(kZstdFamily) + zstd_id()
                                          : std::string(kGzipFamily) + deflater_id();
}

std::optional<Compression> compression_of(std::string_view encoder) noexcept {
  const auto of_family = [&](std::string_view family) {
    return encoder.starts_with(family.substr(0, family.find('/')));
  };
  if (of_family(kGzipFamily)) {
    return Compression::Gzip;
  }
  return of_family(kZstdFamily) ? std::optional(Compression::Zstd) : std::nullopt;
}

EncodedLayer encode_layer(std::span<const LayerItem> items, Sink& out) {
  return encode_layer(items, Compression::Gzip, out);
}

namespace {

EncodedLayer write_items(std::span<const LayerItem> items, Compression compression, Sink& out, bool hash_tar) {
  LayerWriter writer(compression, out, hash_tar);
  std::string before;
  for (const LayerItem& item : items) {
    std::string name = stored_name(item.entry);
    if (!before.empty() && name <= before) {
      throw Error(ErrorKind::Internal, "layer items are not sorted: `{}` after `{}`", name, before);
    }
    writer.add(item);
    before = std::move(name);
  }
  return writer.finish();
}

}  // namespace

EncodedLayer encode_layer(std::span<const LayerItem> items, Compression compression, Sink& out) {
  return write_items(items, compression, out, true);
}

void encode_again(std::span<const LayerItem> items, Compression compression, const EncodedLayer& known, Sink& out) {
  const EncodedLayer again = write_items(items, compression, out, false);
  if (again.digest != known.digest) {
    throw Error(ErrorKind::Corrupt, "a layer came out as {}, it was {}", again.digest.brief(), known.digest.brief());
  }
}

void sort_items(std::vector<LayerItem>& items) {
  std::stable_sort(items.begin(), items.end(),
                   [](const LayerItem& a, const LayerItem& b) { return stored_name(a.entry) < stored_name(b.entry); });
  std::vector<LayerItem> kept;
  kept.reserve(items.size());
  for (LayerItem& item : items) {
    // A file "a" and a folder "a/" need not be neighbours: "a-b" stands between them.
    if (item.entry.type == FileType::Directory && holds(kept, item.entry.path)) {
      throw Error(ErrorKind::Conflict, "`/{}` is both a folder and a file", item.entry.path);
    }
    if (!kept.empty() && kept.back().entry.path == item.entry.path) {
      if (same_folder(kept.back(), item) || same_content(kept.back(), item)) {
        continue;
      }
      throw Error(ErrorKind::Conflict, "two different files want to be `/{}`", item.entry.path);
    }
    kept.push_back(std::move(item));
  }
  items = std::move(kept);
}

}  // namespace slip::codec
