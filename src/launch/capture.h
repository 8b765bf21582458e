#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "launch/ownership.h"
#include "launch/sandbox.h"

namespace slip::launch {

/// Reads an overlay's upper folder back as changes: whiteouts and opaque folders, emulated owners, times no later than
/// `epoch`; nothing of `skipped` (paths inside without leading "/", with everything below them).
/// @throws Error Invalid for sockets and other things no image can hold
/// @source Documentation/filesystems/overlayfs.rst "whiteouts and opaque directories"; "userxattr"
std::vector<Sandbox::Change> capture_upper(const std::filesystem::path& upper, std::int64_t epoch,
                                           const OwnershipSupervisor::LinkOwners& links,
                                           const std::set<std::string>& skipped);

}  // namespace slip::launch
