#pragma once

#include <string_view>

/// Media types that an image of ours, or one we read, may name.
/// @source OCI image-spec v1.1 media-types.md, with its table of Docker equivalents
namespace slip::oci::media {

inline constexpr std::string_view kManifest = "application/vnd.oci.image.manifest.v1+json";
inline constexpr std::string_view kIndex = "application/vnd.oci.image.index.v1+json";
inline constexpr std::string_view kConfig = "application/vnd.oci.image.config.v1+json";
inline constexpr std::string_view kLayer = "application/vnd.oci.image.layer.v1.tar";
inline constexpr std::string_view kLayerGzip = "application/vnd.oci.image.layer.v1.tar+gzip";
inline constexpr std::string_view kLayerZstd = "application/vnd.oci.image.layer.v1.tar+zstd";
inline constexpr std::string_view kEmpty = "application/vnd.oci.empty.v1+json";
inline constexpr std::string_view kEmptyBytes = "{}";  ///< what every blob of type kEmpty holds

inline constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
inline constexpr std::string_view kDockerIndex = "application/vnd.docker.distribution.manifest.list.v2+json";
inline constexpr std::string_view kDockerConfig = "application/vnd.docker.container.image.v1+json";
inline constexpr std::string_view kDockerLayerGzip = "application/vnd.docker.image.rootfs.diff.tar.gzip";
inline constexpr std::string_view kDockerLayer = "application/vnd.docker.image.rootfs.diff.tar";

constexpr bool is_manifest(std::string_view type) noexcept { return type == kManifest || type == kDockerManifest; }
constexpr bool is_index(std::string_view type) noexcept { return type == kIndex || type == kDockerIndex; }
constexpr bool is_config(std::string_view type) noexcept { return type == kConfig || type == kDockerConfig; }

/// How a layer's tar is packed.
enum class Packing { Plain, Gzip, Zstd, Unknown };
constexpr Packing packing_of(std::string_view type) noexcept {
  if (type == kLayerGzip || type == kDockerLayerGzip) {
    return Packing::Gzip;
  }
  if (type == kLayer || type == kDockerLayer) {
    return Packing::Plain;
  }
  return type == kLayerZstd ? Packing::Zstd : Packing::Unknown;
}

}  // namespace slip::oci::media
