#pragma once

#include <string>
#include <vector>

#include "workspace/record.h"

namespace slip::workspace {

/// A service as slipway-init sees it.
struct ServiceState {
  std::string name;
  std::string state;  ///< "ready", "starting", "backoff", "skipped", …
  int pid = 0;        ///< inside; 0: none
  unsigned restarts = 0;
};

/// Ready, or left out, or ended as it should.
bool is_well(const ServiceState& service);

/// Asks slipway-init of a running workspace. @throws Error Unavailable when nobody answers
std::vector<ServiceState> ask_status(const Folder& folder);
/// "restart", "stop" or "start" of one service. @throws Error NotFound when it has none of that name
void order(const Folder& folder, const std::string& verb, const std::string& service);

}  // namespace slip::workspace
