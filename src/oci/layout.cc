#include "oci/layout.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>

#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "oci/media_types.h"
#include "oci/write.h"
#include "os/fd.h"
#include "os/file.h"

namespace slip::oci {
namespace {

constexpr std::string_view kMarker = R"({"imageLayoutVersion":"1.0.0"})";
const std::string kEmptyConfig(media::kEmptyBytes);

fs::path folder_of(const fs::path& path) {
  const fs::path parent = fs::absolute(path).lexically_normal().parent_path();
  return parent.empty() ? fs::path("/") : parent;
}

void write_blobs(const Parts& parts, const fs::path& dir) {
  const fs::path blobs = dir / "blobs/sha256";
  os::make_dirs(blobs);
  for (const Part& part : parts.blobs) {
    const fs::path file = blobs / part.descriptor.digest.hex();
    struct stat st{};
    if (::lstat(file.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
        static_cast<std::uint64_t>(st.st_size) == part.descriptor.size) {
      continue;
    }
    os::AtomicFile out(file);
    os::FdSink sink(out.fd().get(), file.string());
    produce_checked(part, sink);
    out.commit();
  }
}

/// The index with our entry in it; it takes the place of one with the same name or, without a name, the same digest.
Index extended(Index index, const Descriptor& entry, const std::vector<Descriptor>& attachments = {}) {
  const auto name = entry.annotations.find(kRefName);
  std::erase_if(index.manifests, [&](const Descriptor& other) {
    const auto theirs = other.annotations.find(kRefName);
    if (name != entry.annotations.end()) {
      return theirs != other.annotations.end() && theirs->second == name->second;
    }
    return theirs == other.annotations.end() && other.digest == entry.digest;
  });
  index.manifests.push_back(entry);
  for (const Descriptor& attachment : attachments) {
    std::erase_if(index.manifests, [&](const Descriptor& other) { return other.digest == attachment.digest; });
    index.manifests.push_back(attachment);
  }
  return index;
}

bool is_empty_or_missing(const fs::path& dir) {
  std::error_code error;
  const fs::directory_iterator first(dir, error);
  return error ? error == std::errc::no_such_file_or_directory : first == fs::directory_iterator();
}

void fill(const fs::path& dir, const Parts& parts, const Index& index) {
  write_blobs(parts, dir);
  os::write_file(dir / "oci-layout", kMarker);
  os::write_file(dir / "index.json", to_json(index));
}

void write_layout(const Parts& parts, const fs::path& dir) {
  const fs::path parent = folder_of(dir);
  os::make_dirs(parent);
  const std::string prefix = format(".{}.slip-", dir.filename().string().substr(0, 200));
  os::sweep_stale(parent, prefix);
  if (is_empty_or_missing(dir)) {
    os::TempDir temp(parent, prefix);
    fill(temp.path(), parts, extended(parts.index({}), parts.entry, parts.attachments));
    os::call(::chmod, temp.path().c_str(), mode_t{0755}).or_throw("set the mode of `{}`", temp.path().string());
    try {
      os::durable_rename(temp.path(), dir);
      temp.keep();
      os::sync_dir(parent);
      return;
    } catch (const Error& e) {
      if (e.kind() != ErrorKind::Conflict) {
        throw;
      }
      // Somebody else made the folder in the meantime: add to theirs.
    }
  }
  const os::Fd lock = os::open_dir(dir);
  os::call(::flock, lock.get(), LOCK_EX).or_throw("lock `{}`", dir.string());
  if (!fs::exists(dir / "oci-layout")) {
    throw Error(ErrorKind::Conflict, "`{}` is not empty, and no OCI layout", dir.string())
        .add_hint("name a new folder, an empty one, or an OCI layout that the image is added to");
  }
  fill(dir, parts, extended(Layout::open(dir).index(), parts.entry, parts.attachments));
}

}  // namespace

void produce_checked(const Part& part, Sink& out) {
  const Descriptor& wanted = part.descriptor;
  // Stops a producer that runs away, not only one that ends wrong.
  class Bounded final : public Sink {
   public:
    Bounded(Sink& next, std::uint64_t limit) : next_(next), left_(limit) {}
    void write(ByteView bytes) override {
      if (bytes.size() > left_) {
        throw Error(ErrorKind::Corrupt, "more bytes came than the descriptor says");
      }
      left_ -= bytes.size();
      next_.write(bytes);
    }

   private:
    Sink& next_;
    std::uint64_t left_;
  };
  with_context([&] { return format("write {} {}", part.what, wanted.digest.text()); },
               [&] {
                 Bounded bounded(out, wanted.size);
                 codec::HashSink hash(&bounded);
                 part.produce(hash);
                 const Digest found = hash.finish();
                 if (hash.size() != wanted.size) {
                   throw Error(ErrorKind::Corrupt, "{} bytes came where the descriptor says {}", hash.size(),
                               wanted.size);
                 }
                 if (found != wanted.digest) {
                   throw Error(ErrorKind::Corrupt, "its bytes have digest {}", found.text());
                 }
               });
}

Index Parts::index(Index base) const {
  base.media_type = std::string(media::kIndex);
  return base;
}

Attachment make_attachment(const Descriptor& subject, const std::string& artifact_type,
                           std::vector<LayerSource> blobs) {
  Manifest manifest;
  manifest.media_type = media::kManifest;
  manifest.artifact_type = artifact_type;
  manifest.config.media_type = media::kEmpty;
  manifest.config.digest = codec::sha256(kEmptyConfig);
  manifest.config.size = kEmptyConfig.size();
  for (const LayerSource& blob : blobs) {
    manifest.layers.push_back(blob.descriptor);
  }
  manifest.subject = Descriptor{subject.media_type, subject.digest, subject.size, {}, {}, {}};
  return {to_json(manifest), artifact_type, std::move(blobs)};
}

Parts parts_of(const Image& image, const std::optional<Reference>& name, const std::vector<Attachment>& attachments) {
  const Manifest manifest = parse_manifest(image.manifest);
  const ImageConfig config = parse_image_config(image.config);
  const auto refuse = [](const std::string& why) {
    throw Error(ErrorKind::Invalid, "the parts of the image do not fit: {}", why);
  };
  if (manifest.config.digest != codec::sha256(image.config) || manifest.config.size != image.config.size()) {
    refuse("the manifest names another config");
  }
  if (manifest.layers.size() != image.layers.size() || config.diff_ids.size() != image.layers.size()) {
    refuse(format("{} layers in the manifest, {} in the config, {} given", manifest.layers.size(),
                  config.diff_ids.size(), image.layers.size()));
  }
  Parts parts;
  parts.manifest = manifest;
  std::set<Digest> seen;
  const auto add = [&](Part part) {
    if (seen.insert(part.descriptor.digest).second) {
      parts.blobs.push_back(std::move(part));
    }
  };
  for (std::size_t i = 0; i < image.layers.size(); ++i) {
    const LayerSource& layer = image.layers[i];
    if (layer.descriptor.digest != manifest.layers[i].digest || layer.descriptor.size != manifest.layers[i].size) {
      refuse(format("layer {} is not the manifest's", i + 1));
    }
    if (layer.diff_id != config.diff_ids[i]) {
      refuse(format("layer {} is not the config's", i + 1));
    }
    add({manifest.layers[i], "layer", layer.produce});
  }
  const auto text = [](const std::string& bytes) { return [&bytes](Sink& out) { out.write(as_bytes(bytes)); }; };
  add({manifest.config, "config", text(image.config)});
  parts.entry.media_type = manifest.media_type.empty() ? std::string(media::kManifest) : manifest.media_type;
  parts.entry.digest = codec::sha256(image.manifest);
  parts.entry.size = image.manifest.size();
  parts.entry.platform = config.platform;
  if (name) {
    parts.entry.annotations[kRefName] = name->tag.empty() ? name->text() : name->tag;
    if (!name->repository.empty()) {
      parts.entry.annotations[kImageName] = name->text();
    }
  }
  add({parts.entry, "manifest", text(image.manifest)});
  for (const Attachment& attachment : attachments) {
    for (const LayerSource& blob : attachment.blobs) {
      add({blob.descriptor, "attachment", blob.produce});
    }
    add({parse_manifest(attachment.manifest).config, "config", text(kEmptyConfig)});
    Descriptor entry;
    entry.media_type = media::kManifest;
    entry.digest = codec::sha256(attachment.manifest);
    entry.size = attachment.manifest.size();
    entry.artifact_type = attachment.artifact_type;
    parts.attachments.push_back(entry);
    add({entry, "manifest", text(attachment.manifest)});
  }
  return parts;
}

LayerSource layer_from_file(Descriptor descriptor, const Digest& diff_id, fs::path file) {
  const auto copy = [file](Sink& out) {
    const os::Fd fd = os::open_read(file);
    os::FdSource in(fd.get(), file.string());
    copy_all(in, out);
  };
  return {std::move(descriptor), diff_id, copy, std::move(file)};
}

Image make_image(ImageConfig config, std::vector<LayerSource> layers, std::map<std::string, std::string> annotations) {
  config.diff_ids.clear();
  Manifest manifest;
  manifest.media_type = media::kManifest;
  for (const LayerSource& layer : layers) {
    config.diff_ids.push_back(layer.diff_id);
    manifest.layers.push_back(layer.descriptor);
  }
  Image image;
  image.config = to_json(config);
  manifest.config.media_type = media::kConfig;
  manifest.config.digest = codec::sha256(image.config);
  manifest.config.size = image.config.size();
  manifest.annotations = std::move(annotations);
  image.manifest = to_json(manifest);
  image.layers = std::move(layers);
  return image;
}

Output Output::parse(std::string_view text) {
  const std::size_t colon = text.find(':');
  const std::string_view kind = text.substr(0, colon);
  const std::string_view rest = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  Output out;
  out.path = rest;
  if (kind == "oci") {
    const std::size_t last = rest.rfind(':');
    if (last != std::string_view::npos && is_tag(rest.substr(last + 1))) {
      out.path = rest.substr(0, last);
      out.tag = rest.substr(last + 1);
    }
  } else if (kind == "oci-archive") {
    out.kind = Kind::Archive;
  } else if (kind == "docker-archive") {
    out.kind = Kind::DockerArchive;
  } else {
    out.path.clear();
  }
  if (out.path.empty()) {
    throw Error(ErrorKind::Usage, "`{}` is no place for an image", printable(text))
        .add_hint("write oci:DIR, oci-archive:FILE or docker-archive:FILE");
  }
  return out;
}

void write_image(const Image& image, const Output& output, const std::optional<Reference>& name,
                 const std::vector<Attachment>& attachments) {
  Parts parts = parts_of(image, name, attachments);
  if (!output.tag.empty()) {
    parts.entry.annotations[kRefName] = output.tag;
  }
  with_context([&] { return format("write the image to `{}`", output.path.string()); },
               [&] {
                 if (output.kind == Output::Kind::Layout) {
                   write_layout(parts, output.path);
                 } else {
                   write_archive(parts, output.path, output.kind == Output::Kind::DockerArchive, name);
                 }
               });
}

Layout Layout::open(const fs::path& dir) {
  Layout layout;
  layout.dir_ = dir;
  const auto marker = os::read_file_if_any(dir / "oci-layout", 4096);
  if (!marker) {
    throw Error(fs::exists(dir) ? ErrorKind::Invalid : ErrorKind::NotFound,
                "`{}` is no OCI layout: it has no `oci-layout`", dir.string());
  }
  if (marker->find("\"imageLayoutVersion\"") == std::string::npos || marker->find("\"1.") == std::string::npos) {
    throw Error(ErrorKind::Unsupported, "`{}` is an OCI layout of an unknown version", dir.string());
  }
  layout.index_ = with_context([&] { return format("read `{}`", (dir / "index.json").string()); },
                               [&] { return parse_index(os::read_file(dir / "index.json", kMaxDocument)); });
  return layout;
}

std::string Layout::read(const Descriptor& descriptor) const {
  std::optional<std::string> bytes = os::read_file_if_any(blob_path(descriptor.digest), kMaxDocument);
  if (!bytes) {
    throw Error(ErrorKind::NotFound, "`{}` lacks blob {}", dir_.string(), descriptor.digest.text());
  }
  if (bytes->size() != descriptor.size || codec::sha256(*bytes) != descriptor.digest) {
    throw Error(ErrorKind::Corrupt, "blob {} in `{}` has other bytes than its name says", descriptor.digest.text(),
                dir_.string());
  }
  return std::move(*bytes);
}

Descriptor Layout::find(const std::optional<std::string>& name, const Platform& platform) const {
  std::vector<Descriptor> found;
  std::vector<std::string> names;
  for (const Descriptor& entry : index_.manifests) {
    if (!entry.artifact_type.empty()) {
      continue;
    }
    bool matches = !name;
    for (const char* key : {kRefName, kImageName}) {
      if (const auto at = entry.annotations.find(key); at != entry.annotations.end()) {
        names.push_back(printable(at->second));
        matches = matches || at->second == *name;
      }
    }
    if (matches) {
      found.push_back(entry);
    }
  }
  if (found.size() != 1) {
    Error error(ErrorKind::NotFound, "`{}` has {} images{}", dir_.string(),
                found.empty() ? "no" : std::to_string(found.size()),
                name ? format(" called `{}`", printable(*name)) : std::string());
    if (!names.empty()) {
      error.add_hint("it has: " + join(names, ", "));
    }
    throw error;
  }
  Descriptor at = found.front();
  for (int depth = 0; media::is_index(at.media_type); ++depth) {
    const Index inner = parse_index(read(at));
    const auto fits = [&](const Descriptor& d) { return !d.platform || *d.platform == platform; };
    const auto next = std::ranges::find_if(inner.manifests, fits);
    if (next == inner.manifests.end() || depth > 3) {
      throw Error(ErrorKind::NotFound, "`{}` has no image for {}/{}", dir_.string(), platform.os,
                  platform.architecture);
    }
    at = *next;
  }
  return at;
}

}  // namespace slip::oci
