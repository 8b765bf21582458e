#pragma once

#include <string>
#include <string_view>

#include "deb/deb.h"

namespace slip::deb {

/// The compact form in which an unpacked package is kept beside its files, so that a later run reads one file instead
/// of an archive. Everything but `folder` is in it.
std::string write_manifest(const Unpacked& package);
/// @param folder  where the tree lies; contents of items point below it
/// @throws Error Corrupt
Unpacked read_manifest(std::string_view bytes, const std::filesystem::path& folder);

}  // namespace slip::deb
