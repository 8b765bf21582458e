#pragma once

#include <filesystem>
#include <string>

#include "config/config.h"
#include "launch/forward.h"
#include "workspace/files.h"

/// What this machine's configuration means for its workspaces.
namespace slip::workspace {

/// pip inside asks the indexes that slipway itself asks. @param home  of the person, see HostFiles
HostFiles host_files(const config::Config& config, const std::filesystem::path& home);

/// The way out: through the host's proxy where it has one; a package index on the host's own loopback is let through.
launch::Outbound outbound_of(const config::Config& config);

/// "http://[::1]:3141/simple" → "::1:3141" when the host is this machine; empty otherwise.
std::string loopback_source(std::string_view url);

}  // namespace slip::workspace
