#pragma once

#include "init/config.h"

namespace slip::init {

/// Asks, without waiting and without a process, whether a service is ready. One object a service.
class Probe {
 public:
  /// True when the service answers now. A connection that is still being made is asked about the next time.
  bool ask(const Ready& ready);
  void reset();

 private:
  int fd_ = -1;  ///< a connection under way
};

/// The socket on which a service says READY=1 (sd_notify(3)): in the abstract name space, so that nothing is written.
class NotifySocket {
 public:
  /// False when there is none to be had. Then variable() is "NOTIFY_SOCKET=@slipway-init/NAME/RANDOM".
  bool open(const char* service);
  [[nodiscard]] const char* variable() const { return fd_ < 0 ? nullptr : variable_; }
  [[nodiscard]] int fd() const { return fd_; }
  /// Takes what has come; true when READY=1 was in it.
  bool take() const;

 private:
  int fd_ = -1;
  char variable_[128] = "";
};

}  // namespace slip::init
