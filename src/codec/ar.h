#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "core/bytes.h"

namespace slip::codec {

struct ArMember {
  std::string name;  ///< without a trailing "/"
  ByteView bytes;    ///< view into the archive
};

/// Reads the common `ar` format of .deb files; the archive must outlive the views. At most 64 members.
/// @throws Error Invalid naming `name` and the position
/// @source deb(5)
std::vector<ArMember> read_ar(ByteView archive, const std::string& name);

}  // namespace slip::codec
