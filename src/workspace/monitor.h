#pragma once

#include "core/events.h"
#include "launch/forward.h"
#include "launch/native.h"
#include "store/store.h"
#include "workspace/record.h"

namespace slip::workspace {

/// What a monitor writes down about the workspace that it looks after (status.json).
struct Status {
  int monitor = 0;  ///< pid
  int init = 0;     ///< host pid of slipway-init
  std::int64_t started = 0;  ///< seconds since 1970
  bool running = false;
  int exit_status = 0;  ///< once it has ended: slipway-init's
  std::string reason;   ///< why it ended
  std::vector<std::string> unmet;    ///< limits this host does not enforce
  std::vector<std::string> cgroups;  ///< groups to remove when the monitor was killed
};
std::optional<Status> load_status(const Folder& folder);
void save_status(const Folder& folder, const Status& status);
/// True while a monitor lives: it holds the lock, whatever status.json says.
bool is_alive(const Folder& folder);

/// What the monitor needs of this host.
struct MonitorInput {
  launch::HostId id;
  launch::Outbound outbound;
  std::filesystem::path root;  ///< the image's merged root, leased
};

/// Starts the workspace and stays with it until it has ended: keeps its records, publishes its ports on 127.0.0.1, gives
/// it a way out. When this process dies, everything of the workspace dies. TERM stops it in order.
/// @param started  called once it runs
/// @return slipway-init's exit status
/// @throws Error Conflict when another monitor lives
int run_monitor(Record record, const Folder& folder, const MonitorInput& input, const std::function<void()>& started);

}  // namespace slip::workspace
