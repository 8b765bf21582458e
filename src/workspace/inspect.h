#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "workspace/control.h"
#include "workspace/record.h"

/// What a workspace is doing, from the outside.
namespace slip::workspace {

/// Python packages that were installed or removed inside after the image was made.
struct Drift {
  std::vector<std::string> added;    ///< "humanize 4.4.0", sorted
  std::vector<std::string> removed;  ///< of the image's
  [[nodiscard]] bool any() const { return !added.empty() || !removed.empty(); }
};

/// What all processes inside use now.
struct Usage {
  std::uint64_t memory_bytes = 0;  ///< proportional set size
  std::uint64_t pids = 0;
  double cpu_seconds = 0;  ///< of those that live
};

struct View {
  Record record;
  std::string state;   ///< "running", "starting", "failed" or "stopped"
  std::string reason;  ///< why it failed; empty otherwise
  std::vector<ServiceState> services;
  Drift drift;
  Usage usage;
  int init = 0;  ///< host pid of slipway-init while it runs
  std::int64_t started = 0;
  std::vector<std::string> unmet;  ///< limits this host does not enforce
};

View inspect(const os::HostDirs& dirs, const std::string& name);

/// "http://127.0.0.1:8888/", or empty for a service that no browser opens.
std::string url_of(const Record& record, const std::string& service);

/// Drift of a writable layer. @param upper  its folder that stands over the image's prefix
Drift drift_of(const std::filesystem::path& upper);

}  // namespace slip::workspace
