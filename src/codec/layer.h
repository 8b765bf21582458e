#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include "codec/tar.h"
#include "core/bytes.h"
#include "core/digest.h"

namespace slip::codec {

/// Content of a regular file that is put into a layer.
struct NoContent {
  bool operator==(const NoContent&) const = default;
};
struct InlineContent {  ///< small generated files
  std::string bytes;
  bool operator==(const InlineContent&) const = default;
};
struct FileContent {  ///< read from the host; must have exactly entry.size bytes
  std::filesystem::path path;
  bool operator==(const FileContent&) const = default;
};
/// A raw DEFLATE stream that already exists (an entry of a wheel): its bytes go into the layer as they are.
/// `plain` holds the same content inflated (verified when it was unpacked) and is what the diff_id is made from.
struct SplicedContent {
  std::filesystem::path archive;
  std::uint64_t offset = 0;           ///< of the compressed data in `archive`
  std::uint64_t compressed_size = 0;  ///< bytes
  std::uint32_t crc32 = 0;            ///< of the inflated content
  std::filesystem::path plain;
  bool operator==(const SplicedContent&) const = default;
};
using Content = std::variant<NoContent, InlineContent, FileContent, SplicedContent>;

/// One path of a layer.
struct LayerItem {
  TarEntry entry;
  Content content;
};

struct EncodedLayer {
  Digest digest;                    ///< of the compressed bytes
  Digest diff_id;                   ///< of the tar
  std::uint64_t size = 0;           ///< compressed bytes
  std::uint64_t size_unpacked = 0;  ///< tar bytes
  bool operator==(const EncodedLayer&) const = default;
};

/// Name, version and level of the encoder: part of every layer key and of the lock ("gzip-members/1
/// libdeflate/1.14/6").
std::string encoder_id();

/// Writes one gzip-compressed OCI layer (others: compression.h): gzip members, cut into fixed blocks of 1 MiB of tar,
/// except that spliced content makes a member of its own. The bytes depend only on the items: same for every
/// thread count and machine. Items are written in the order given and must be sorted by stored name (a directory's
/// with its trailing "/"), without duplicates; parents must be present or in a lower layer.
/// Memory: O(block), whatever the layer's size.
/// @param out  receives the compressed bytes (NullSink: only the digests are wanted)
/// @throws Error Internal: unsorted or duplicate items; Corrupt: a file's size or crc32 differs from what is promised
/// @source OCI image-spec v1.1 layer.md; RFC 1951, RFC 1952 2.2; docs/concepts/layers.md
EncodedLayer encode_layer(std::span<const LayerItem> items, Sink& out);

/// Sorts by stored name and merges equal directories (first wins); two different files of one path are an Error
/// (Conflict) that names it.
void sort_items(std::vector<LayerItem>& items);

}  // namespace slip::codec
