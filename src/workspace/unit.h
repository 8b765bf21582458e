#pragma once

#include <filesystem>
#include <string>

#include "os/file.h"

/// Workspaces that systemd starts with the machine (root) or with the person's session.
namespace slip::workspace {

struct UnitInput {
  os::HostDirs dirs;
  std::filesystem::path program;  ///< absolute path of slipway
  std::filesystem::path config;   ///< where units lie: $XDG_CONFIG_HOME, or for root /etc
  bool root = false;              ///< the machine's units instead of a person's
};

/// The text of the unit of one workspace. It starts the workspace from its record, so that no checkout has to be there.
/// @source systemd.service(5), systemd.syntax(7) on quoting
std::string unit_text(const UnitInput& input, const std::string& name);

/// Writes the unit and enables it, as `systemctl enable` would; returns the unit's path.
std::filesystem::path enable_unit(const UnitInput& input, const std::string& name);

/// Takes both away; false when there was no unit.
bool disable_unit(const UnitInput& input, const std::string& name);

/// Tells systemd that we are ready, when it asked to be told ($NOTIFY_SOCKET). @source sd_notify(3)
void notify_ready();

}  // namespace slip::workspace
