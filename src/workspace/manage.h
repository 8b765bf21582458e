#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/error.h"
#include "core/events.h"
#include "workspace/control.h"
#include "workspace/files.h"
#include "workspace/monitor.h"
#include "workspace/record.h"

/// Starting, stopping and looking at workspaces. Whoever changes one holds its change lock; nothing here runs on when
/// slipway ends but the workspace's monitor, a process of its own.
namespace slip::workspace {

struct UpInput {
  os::HostDirs dirs;
  HostFiles files;
  std::filesystem::path root;  ///< merged root of the image
  /// Command line of the monitor: reads the record of the name at its end and calls run_monitor(). It gets one more
  /// word, the number of a descriptor to write one byte to once the workspace runs.
  std::vector<std::string> monitor;
  std::chrono::seconds patience{60};  ///< for services to become ready
};

enum class UpOutcome : std::uint8_t { Unchanged, Started, Restarted };

/// Brings the workspace up as `wanted` says: starts it, starts it anew when the record has changed, or does nothing.
/// Ports that `wanted` does not name stay those of before.
/// @param wanted  on return with the ports it has
/// @throws Error Conflict when the name belongs to another project or image, or a wanted port is taken;
///         Unavailable with the monitor's own words when it does not start, or with the log of a service that does not
///         become ready
UpOutcome up(Record& wanted, const UpInput& input, Events& events);

/// Why an image without services cannot be brought up: slipway-init would end at once.
Error no_services(const std::string& image);

/// Stops a workspace in order; false when it did not run. Clears what a killed monitor left behind.
bool down(const os::HostDirs& dirs, const std::string& name, Events& events);

/// Forgets a stopped workspace: home, keys, logs, installed packages. @throws Error Conflict when it runs
void purge(const os::HostDirs& dirs, const std::string& name);

/// The record of a workspace that must be there. @throws Error NotFound with the names there are
Record require_record(const os::HostDirs& dirs, const std::string& name);

}  // namespace slip::workspace
