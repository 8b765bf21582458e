#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "core/bytes.h"
#include "core/digest.h"
#include "oci/reference.h"
#include "oci/types.h"

/// Images as folders and files: OCI layouts and archives, archives for `docker load`.
/// @source OCI image-spec v1.1 image-layout.md; `docker save` format 1.2 (manifest.json)
namespace slip::oci {

namespace fs = std::filesystem;

/// One layer of an image that is to be written. The bytes may lie somewhere or be made at the moment they are written.
struct LayerSource {
  Descriptor descriptor;
  Digest diff_id;
  /// Writes exactly the bytes of `descriptor`; called at most once per write.
  std::function<void(Sink&)> produce;
  fs::path file;  ///< where the bytes lie as they are; empty: only produce() has them
};

/// A LayerSource that copies a file.
LayerSource layer_from_file(Descriptor descriptor, const Digest& diff_id, fs::path file);

/// A complete image to be written. `manifest` and `config` are the exact bytes that are digested.
struct Image {
  std::string manifest;
  std::string config;
  std::vector<LayerSource> layers;  ///< in the order of the manifest
};

/// Config and manifest for these layers: sets config.diff_ids, and the media types of OCI.
Image make_image(ImageConfig config, std::vector<LayerSource> layers,
                 std::map<std::string, std::string> annotations = {});

/// Something that belongs to an image and is written beside it: an SBOM, a signature, what it was built from.
struct Attachment {
  std::string manifest;  ///< its `subject` is the image's manifest
  std::string artifact_type;
  std::vector<LayerSource> blobs;
};

/// @param subject  the image's manifest @param blobs  diff_ids mean nothing here
/// @source OCI image-spec v1.1 manifest.md "Guidelines for Artifact Usage"
Attachment make_attachment(const Descriptor& subject, const std::string& artifact_type, std::vector<LayerSource> blobs);

/// Where an image goes: "oci:DIR", "oci-archive:FILE", "docker-archive:FILE".
struct Output {
  enum class Kind { Layout, Archive, DockerArchive };
  Kind kind = Kind::Layout;
  fs::path path;
  std::string tag;  ///< "oci:DIR:TAG" only; empty: not given

  /// @throws Error Usage for any other text. A last ":TAG" of an oci: output is a tag when it has the form of one.
  static Output parse(std::string_view text);
};

/// Writes the image. Every byte is checked against the manifest on its way; what is wrong is never seen under its name.
///
/// A layout: a new folder appears complete, an existing layout gains the blobs it lacks and then a new index.json, in
/// which the entry of the same name is replaced. Archives appear complete under their name, and their bytes depend on
/// image and name alone. A docker-archive is an OCI archive with a manifest.json, so that it can be read back as
/// either.
///
/// @param name  what the image is called inside; nullopt: it has no name
/// @throws Error Corrupt: a layer's bytes are not those of its descriptor; Conflict: the folder holds something else;
///               Invalid: manifest, config and layers do not belong together; NoSpace
/// @param attachments  stand in the index behind the image, with their artifact type
void write_image(const Image& image, const Output& output, const std::optional<Reference>& name,
                 const std::vector<Attachment>& attachments = {});

/// An OCI layout on the disk, to be read.
class Layout {
 public:
  /// @throws Error NotFound, Invalid: the folder is no layout
  static Layout open(const fs::path& dir);

  [[nodiscard]] const fs::path& dir() const noexcept { return dir_; }
  [[nodiscard]] const Index& index() const noexcept { return index_; }
  [[nodiscard]] fs::path blob_path(const Digest& digest) const { return dir_ / "blobs/sha256" / digest.hex(); }
  /// A small blob. @throws Error NotFound; Corrupt when size or digest differ from the descriptor's
  [[nodiscard]] std::string read(const Descriptor& descriptor) const;
  /// The manifest called `name` (org.opencontainers.image.ref.name: the whole reference or its tag), or the only one;
  /// an index on the way is followed to `platform`. Attachments of images are passed over.
  /// @throws Error NotFound with the names there are
  [[nodiscard]] Descriptor find(const std::optional<std::string>& name = std::nullopt,
                                const Platform& platform = {}) const;

 private:
  fs::path dir_;
  Index index_;
};

/// Unpacks an oci-archive or docker-archive (also a plain one of older tools, whose layers get descriptors here; also
/// compressed as a whole) into the empty folder `into`, which is a layout afterwards. Every blob is checked on its way.
/// @throws Error Invalid, Corrupt
Layout unpack_archive(const fs::path& archive, const fs::path& into);

/// Names of the annotations in an index.
inline constexpr const char* kRefName = "org.opencontainers.image.ref.name";
inline constexpr const char* kImageName = "io.containerd.image.name";

}  // namespace slip::oci
