#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "codec/compress.h"
#include "codec/json.h"
#include "codec/sha256.h"
#include "codec/tar.h"
#include "core/error.h"
#include "core/text.h"
#include "oci/media_types.h"
#include "oci/write.h"
#include "os/file.h"

namespace slip::oci {
namespace {

using codec::Json;

constexpr std::string_view kMarker = R"({"imageLayoutVersion":"1.0.0"})";
constexpr std::uint64_t kMaxArchive = std::uint64_t{256} << 30;

void put_folder(Sink& out, const std::string& path) {
  codec::TarEntry entry;
  entry.path = path;
  entry.type = codec::FileType::Directory;
  entry.mode = 0755;
  out.write(as_bytes(codec::tar_header(entry)));
}

void put_file(Sink& out, const std::string& path, std::uint64_t size, const std::function<void(Sink&)>& produce) {
  codec::TarEntry entry;
  entry.path = path;
  entry.size = size;
  out.write(as_bytes(codec::tar_header(entry)));
  produce(out);
  out.write(as_bytes(std::string(codec::tar_padding(size), '\0')));
}

void put_text(Sink& out, const std::string& path, std::string_view text) {
  put_file(out, path, text.size(), [&](Sink& to) { to.write(as_bytes(text)); });
}

/// What `docker load` reads. Its layers may be compressed: docker, podman and skopeo look at their first bytes.
std::string docker_manifest(const Parts& parts, const std::optional<Reference>& name) {
  const auto place = [](const Descriptor& d) { return "blobs/sha256/" + d.digest.hex(); };
  Json entry = Json::object();
  entry["Config"] = place(parts.manifest.config);
  entry["RepoTags"] = Json::array();
  if (name && !name->tag.empty() && !name->repository.empty()) {
    entry["RepoTags"].push_back(name->name() + ":" + name->tag);
  }
  entry["Layers"] = Json::array();
  for (const Descriptor& layer : parts.manifest.layers) {
    entry["Layers"].push_back(place(layer));
  }
  return codec::dump_canonical(Json::array({entry}));
}

/// Where an entry of an archive goes below the new layout; nullopt: it is not needed.
std::optional<std::string> wanted_path(const codec::TarEntry& entry) {
  static constexpr std::string_view kBlobs = "blobs/sha256/";
  if (entry.type != codec::FileType::Regular) {
    return std::nullopt;
  }
  if (entry.path == "index.json" || entry.path == "oci-layout" || entry.path == "manifest.json") {
    return entry.path;
  }
  if (entry.path.starts_with(kBlobs) && Digest::parse(std::string_view(entry.path).substr(kBlobs.size()))) {
    return entry.path;
  }
  return std::nullopt;
}

Digest store_entry(codec::TarReader& tar, const fs::path& to) {
  os::AtomicFile out(to);
  os::FdSink sink(out.fd().get(), to.string());
  codec::HashSink hash(&sink);
  copy_all(tar.content(), hash);
  out.commit();
  return hash.finish();
}

/// One pass over the archive. Files of older docker archives go to the blobs, too; their names are remembered.
std::map<std::string, Digest> unpack_entries(const fs::path& archive, const fs::path& into) {
  const os::Fd fd = os::open_read(archive);
  os::FdSource raw(fd.get(), archive.string());
  const auto plain = codec::open_compressed(raw, archive.string());
  codec::TarLimits limits;
  limits.max_entries = 20'000;
  limits.max_total_size = kMaxArchive;
  codec::TarReader tar(*plain, limits);
  std::map<std::string, Digest> named;
  while (const auto entry = tar.next()) {
    if (const auto path = wanted_path(*entry)) {
      const Digest found = store_entry(tar, into / *path);
      if (path->starts_with("blobs/") && found != Digest::from(fs::path(*path).filename().string())) {
        throw Error(ErrorKind::Corrupt, "`{}` in the archive has digest {}", *path, found.text());
      }
      named[entry->path] = found;
    } else if (entry->type == codec::FileType::Regular &&
               (entry->path.ends_with(".tar") || entry->path.ends_with(".json"))) {
      const fs::path temp = into / "entry";
      const Digest found = store_entry(tar, temp);
      os::durable_rename(temp, into / "blobs/sha256" / found.hex());
      named[entry->path] = found;
    } else if (entry->type == codec::FileType::Symlink && entry->path.ends_with("/layer.tar")) {
      // Older dockers link equal layers: "../OTHER/layer.tar".
      const std::string target = (fs::path(entry->path).parent_path() / entry->link).lexically_normal().string();
      if (const auto at = named.find(target); at != named.end()) {
        named[entry->path] = at->second;
      }
    }
  }
  return named;
}

Descriptor describe(const fs::path& into, const Digest& digest, std::string_view type) {
  Descriptor d;
  d.media_type = type;
  d.digest = digest;
  const fs::path file = into / "blobs/sha256" / digest.hex();
  d.size = os::file_size(os::open_read(file), file.string());
  return d;
}

std::string_view layer_type(const fs::path& into, const Digest& digest) {
  const os::Fd fd = os::open_read(into / "blobs/sha256" / digest.hex());
  os::FdSource in(fd.get(), "layer");
  std::array<std::uint8_t, 4> magic{};
  read_full(in, magic);
  if (magic[0] == 0x1f && magic[1] == 0x8b) {
    return media::kLayerGzip;
  }
  return magic == std::array<std::uint8_t, 4>{0x28, 0xb5, 0x2f, 0xfd} ? media::kLayerZstd : media::kLayer;
}

/// Gives an archive that only docker's manifest.json describes the index of a layout.
void index_from_docker(const fs::path& into, const std::map<std::string, Digest>& named) {
  const std::string text = os::read_file(into / "manifest.json", kMaxDocument);
  const Json list = codec::parse_json(text, "manifest.json", {.max_size = kMaxDocument, .max_depth = 32});
  const auto blob = [&](const Json& name) {
    const auto at = name.is_string() ? named.find(name.get<std::string>()) : named.end();
    if (at == named.end()) {
      throw Error(ErrorKind::Invalid, "manifest.json names `{}`, which the archive lacks", printable(name.dump()));
    }
    return at->second;
  };
  Index index;
  index.media_type = media::kIndex;
  try {
    for (const Json& image : list) {
      Manifest manifest;
      manifest.media_type = media::kManifest;
      manifest.config = describe(into, blob(image.at("Config")), media::kConfig);
      for (const Json& layer : image.at("Layers")) {
        const Digest digest = blob(layer);
        manifest.layers.push_back(describe(into, digest, layer_type(into, digest)));
      }
      const std::string json = to_json(manifest);
      Descriptor entry;
      entry.media_type = media::kManifest;
      entry.digest = codec::sha256(json);
      entry.size = json.size();
      os::write_file(into / "blobs/sha256" / entry.digest.hex(), json);
      if (const auto tags = image.find("RepoTags"); tags != image.end() && tags->is_array() && !tags->empty()) {
        entry.annotations[kRefName] = tags->front().get<std::string>();
      }
      index.manifests.push_back(std::move(entry));
    }
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::Invalid, "manifest.json is none of `docker save`").add_cause(e.what());
  }
  os::write_file(into / "oci-layout", kMarker);
  os::write_file(into / "index.json", to_json(index));
}

}  // namespace

void write_archive(const Parts& parts, const fs::path& file, bool for_docker, const std::optional<Reference>& name) {
  Index index = parts.index({});
  index.manifests.push_back(parts.entry);
  index.manifests.insert(index.manifests.end(), parts.attachments.begin(), parts.attachments.end());
  const fs::path parent = fs::absolute(file).parent_path();
  os::make_dirs(parent);
  std::vector<const Part*> sorted;
  for (const Part& part : parts.blobs) {
    sorted.push_back(&part);
  }
  std::ranges::sort(sorted, {}, [](const Part* part) { return part->descriptor.digest; });

  os::AtomicFile archive(file);
  os::FdSink out(archive.fd().get(), file.string());
  put_folder(out, "blobs");
  put_folder(out, "blobs/sha256");
  for (const Part* part : sorted) {
    put_file(out, "blobs/sha256/" + part->descriptor.digest.hex(), part->descriptor.size,
             [&](Sink& to) { produce_checked(*part, to); });
  }
  put_text(out, "index.json", to_json(index));
  if (for_docker) {
    put_text(out, "manifest.json", docker_manifest(parts, name));
  }
  put_text(out, "oci-layout", kMarker);
  out.write(as_bytes(codec::tar_end()));
  archive.commit();
}

Layout unpack_archive(const fs::path& archive, const fs::path& into) {
  return with_context([&] { return format("unpack the image `{}`", archive.string()); },
                      [&] {
                        os::make_dirs(into / "blobs/sha256");
                        const auto named = unpack_entries(archive, into);
                        if (!named.contains("index.json") || !named.contains("oci-layout")) {
                          if (!named.contains("manifest.json")) {
                            throw Error(ErrorKind::Invalid, "it is neither an OCI archive nor one of `docker save`");
                          }
                          index_from_docker(into, named);
                        }
                        return Layout::open(into);
                      });
}

}  // namespace slip::oci
