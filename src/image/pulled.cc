#include "image/pulled.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "codec/compress.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "image/captured.h"
#include "lock/packages.h"
#include "oci/media_types.h"
#include "os/file.h"
#include "store/root.h"

namespace slip::image {
namespace {

using codec::FileType;
using codec::LayerItem;

/// Zeros behind the end, up to a whole block and two more: some tools end an archive with its last byte of content.
class PaddedSource final : public Source {
 public:
  explicit PaddedSource(Source& from) : from_(from) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    if (!ended_) {
      const std::size_t count = from_.read(into);
      size_ += count;
      if (count > 0) {
        return count;
      }
      ended_ = true;
      left_ = codec::tar_padding(size_) + 1024;
    }
    const std::size_t count = static_cast<std::size_t>(std::min<std::uint64_t>(left_, into.size()));
    std::fill_n(into.begin(), count, std::uint8_t{0});
    left_ -= count;
    return count;
  }

 private:
  Source& from_;
  std::uint64_t size_ = 0;
  std::uint64_t left_ = 0;
  bool ended_ = false;
};

/// Hashes and counts what is read through it.
class HashSource final : public Source {
 public:
  explicit HashSource(Source& from) : from_(from) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    const std::size_t count = from_.read(into);
    hash_.update({into.data(), count});
    size_ += count;
    return count;
  }
  /// Reads what is left and gives the digest of everything.
  Digest finish() {
    Bytes rest(256u << 10);
    while (read(rest) != 0) {
    }
    return hash_.finish();
  }
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }

 private:
  Source& from_;
  codec::Sha256 hash_;
  std::uint64_t size_ = 0;
};

/// Content goes into numbered files, so no name of the archive ever reaches the host's file system here.
LayerItem take_entry(codec::TarEntry entry, codec::TarReader& tar, const std::filesystem::path& scratch,
                     std::size_t number, const lock::Context& context) {
  LayerItem item;
  if (entry.type == FileType::Regular) {
    const std::filesystem::path path = scratch / std::to_string(number);
    const os::Fd file(static_cast<int>(os::call(::open, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                                           .or_throw("write `{}`", path.string())));
    os::FdSink out(file.get(), "/" + entry.path);
    if (copy_all(tar.content(), out) != entry.size) {
      throw Error(ErrorKind::Invalid, "the layer ends within `/{}`", printable(entry.path));
    }
    if (::geteuid() == 0) {
      os::call(::fchown, file.get(), static_cast<uid_t>(context.id.uid), static_cast<gid_t>(context.id.gid))
          .or_throw("give `{}` to the id of sandboxes", path.string());
    }
    os::call(::fchmod, file.get(), static_cast<mode_t>((entry.mode & 0777U) | 0400U))
        .or_throw("set the mode of `{}`", path.string());
    entry.mode &= 0777U;
    item.content = codec::FileContent{path};
  }
  item.entry = std::move(entry);
  return item;
}

std::vector<LayerItem> read_layer(Source& tar_bytes, const std::filesystem::path& scratch,
                                  const lock::Context& context) {
  std::vector<LayerItem> items;
  codec::TarReader tar(tar_bytes);
  while (auto entry = tar.next()) {
    items.push_back(take_entry(std::move(*entry), tar, scratch, items.size(), context));
  }
  return items;
}

}  // namespace

PulledImage::PulledImage(const Digest& digest, oci::Manifest manifest, oci::ImageConfig config, lock::Context& context)
    : digest_(digest), manifest_(std::move(manifest)), config_(std::move(config)), context_(context) {
  if (manifest_.layers.size() != config_.diff_ids.size()) {
    throw Error(ErrorKind::Invalid, "the image's manifest has {} layers, its config {}", manifest_.layers.size(),
                config_.diff_ids.size());
  }
}

bool PulledImage::is_unpacked() const {
  const auto note = image_note(context_.store, digest_);
  return note && context_.store.find_tree(note->root);
}

std::string PulledImage::layer_key(std::size_t i) const { return "unpacked-" + config_.diff_ids[i].hex(); }

std::string PulledImage::root_tree() const {
  codec::Sha256 hash;
  for (const Digest& diff_id : config_.diff_ids) {
    hash.update(as_bytes(diff_id.hex()));
  }
  return "pulled-" + hash.finish().hex();
}

void PulledImage::unpack_layer(std::size_t i) {
  const oci::Descriptor& layer = manifest_.layers[i];
  const auto unpack = [&](const std::filesystem::path& into) {
    Task task(context_.events, "Unpacking", "layer " + layer.digest.brief());
    const os::Fd file = os::open_read(context_.store.blob_path(layer.digest));
    os::FdSource packed(file.get(), "layer " + layer.digest.brief());
    const std::unique_ptr<Source> plain = codec::open_compressed(packed, "layer " + layer.digest.brief());
    HashSource tar(*plain);
    const os::TempDir scratch = context_.store.temp_dir("layer-");
    PaddedSource padded(tar);
    const std::vector<LayerItem> items = read_layer(padded, scratch.path(), context_);
    if (const Digest found = tar.finish(); found != config_.diff_ids[i]) {
      throw Error(ErrorKind::Corrupt, "its tar has digest {}, the image's config says {}", found.text(),
                  config_.diff_ids[i].text());
    }
    save_captured(items, into);
    os::write_file(into / "size", std::to_string(tar.size()));
    task.succeed();
  };
  with_context([&] { return format("unpack layer {}", layer.digest.text()); },
               [&] { context_.store.ensure_tree(layer_key(i), unpack); });
}

std::filesystem::path PulledImage::finish() {
  ImageNote note;
  note.root = root_tree();
  note.trees = {note.root};
  note.blobs = {digest_, manifest_.config.digest};
  std::vector<std::filesystem::path> folders;
  for (std::size_t i = 0; i < manifest_.layers.size(); ++i) {
    const auto folder = context_.store.find_tree(layer_key(i));
    if (!folder) {
      throw Error(ErrorKind::Corrupt, "the store lost layer {} while it was unpacked",
                  manifest_.layers[i].digest.text())
          .add_hint("run the command again");
    }
    folders.push_back(*folder);
    note.trees.push_back(layer_key(i));
    note.blobs.push_back(manifest_.layers[i].digest);
    note.size += manifest_.layers[i].size;
    note.size_unpacked += std::stoull(os::read_file(*folder / "size", 64));
  }
  Task task(context_.events, "Linking", "the image's root");
  const std::filesystem::path root = context_.store.ensure_tree(note.root, [&](const std::filesystem::path& into) {
    store::write_root(
        into, folders.size(), [&](std::size_t i) { return load_captured(folders[i]); }, lock::disk_owner(context_), {},
        store::Parents::Follow);
  });
  set_image_note(context_.store, digest_, note);
  task.succeed();
  return root;
}

}  // namespace slip::image
