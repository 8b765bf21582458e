#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "codec/layer.h"

namespace slip::codec {

/// How the tar of a layer is compressed. Gzip is what encode_layer() and encoder_id() of layer.h mean.
enum class Compression { Gzip, Zstd };

/// Name, version and level of the encoder: "gzip-members/1 libdeflate/1.14/6", "zstd-frames/1 libzstd/1.5.4/9".
std::string encoder_id(Compression compression);
/// What an encoder of this or another release makes; nullopt: not known.
std::optional<Compression> compression_of(std::string_view encoder) noexcept;

/// As encode_layer() of layer.h. zstd: a concatenation of frames, each of 8 MiB of the tar; spliced content is
/// compressed like everything else, from its plain twin.
/// @source RFC 8878 3.1
EncodedLayer encode_layer(std::span<const LayerItem> items, Compression compression, Sink& out);
/// Writes the bytes of a layer that was encoded before. Spliced content is read once and the tar is not hashed: the
/// compressed digest, which is checked, stands for it.
/// @throws Error as encode_layer(); Corrupt, after the last byte, when they are not what `known` says
void encode_again(std::span<const LayerItem> items, Compression compression, const EncodedLayer& known, Sink& out);

}  // namespace slip::codec
