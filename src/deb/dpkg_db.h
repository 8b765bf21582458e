#pragma once

#include <string>

#include "deb/deb.h"

namespace slip::deb {

/// Name of a package's files in var/lib/dpkg/info and in triggers: with ":arch" only for Multi-Arch: same.
std::string info_name(const Unpacked& package);

/// The paragraph of var/lib/dpkg/status for a package that is unpacked but not configured; ends in one line break.
/// @source dpkg(1) "Package states"; what dpkg --unpack itself writes
std::string status_paragraph(const Unpacked& package);

}  // namespace slip::deb
