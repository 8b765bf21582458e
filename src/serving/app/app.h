#pragma once

#include <functional>
#include <memory>

#include "serving/base/log.h"
#include "serving/base/options.h"

namespace slip::serving {

/// The whole server: models, ports and their threads.
class App {
 public:
  /// Loads TensorFlow and opens the ports; models load afterwards, on their own thread.
  /// @throws Error when a file cannot be read, a port not bound, TensorFlow not loaded
  App(Options options, Log& log);
  App(const App&) = delete;
  App& operator=(const App&) = delete;
  ~App();

  /// Serves until `stop` says so; calls it a few times per second.
  /// @return 0, or 1 when a configured model failed to load for good
  int run(const std::function<bool()>& stop);

 private:
  struct Parts;
  std::unique_ptr<Parts> parts_;
};

}  // namespace slip::serving
