#pragma once

#include <sys/types.h>

#include <chrono>
#include <optional>
#include <vector>

#include "launch/forward.h"

namespace slip::workspace {

/// The small processes beside a running workspace: the forwarder of its ports, and its way out. One that is killed is
/// started again; connections that went through it are lost, the workspace is not.
class Companions {
 public:
  /// @param target  host pid inside the workspace's network namespace
  Companions(pid_t target, const launch::HostId& id) : target_(target), id_(id) {}
  void forward(std::vector<launch::Forward> forwards);
  void let_out(const launch::Outbound& outbound);

  /// Descriptors that are readable once a companion has ended.
  [[nodiscard]] std::vector<int> pidfds() const;
  /// Starts again what has ended. False when that happened too often: more than 5 times within a minute.
  bool revive();

 private:
  void start_forwarder();
  void start_outbound();
  bool may_start();

  pid_t target_;
  launch::HostId id_;
  std::vector<launch::Forward> forwards_;
  std::optional<launch::Outbound> outbound_;
  std::optional<os::Child> forwarder_;
  std::optional<os::Child> gateway_;
  std::vector<std::chrono::steady_clock::time_point> revived_;
};

}  // namespace slip::workspace
