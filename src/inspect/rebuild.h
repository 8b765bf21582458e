#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/engine.h"
#include "image/plan.h"
#include "inspect/subject.h"
#include "model/ship.h"
#include "os/file.h"

namespace slip::inspect {

/// The recipes of an image that carries its lock, to be performed again. What no lock can name is taken out of the
/// image itself: the project's files, a model image's model and slipway-serve, and slipway-init (held against the
/// lock's digest). All else comes from packages.
class Rebuild {
 public:
  /// @param context  whose store is built in; need not be the one that has the image
  /// @throws Error NotFound: the image carries no lock and spec
  Rebuild(const Subject& subject, lock::Context& context);
  ~Rebuild();
  Rebuild(const Rebuild&) = delete;
  Rebuild& operator=(const Rebuild&) = delete;

  [[nodiscard]] const std::vector<image::LayerPlan>& plan() const noexcept { return plan_; }
  [[nodiscard]] image::Engine& engine() noexcept { return *engine_; }
  /// Of the image, without layers.
  [[nodiscard]] const oci::ImageConfig& config() const noexcept { return config_; }
  /// The lock that the recipes are made from.
  [[nodiscard]] const lock::Lock& lock() const noexcept { return lock_; }
  /// Names of layers with content that no lock names, taken from the image.
  [[nodiscard]] const std::vector<std::string>& taken() const noexcept { return taken_; }
  /// As Subject::read_layer(), of what the recipes give.
  void read_layer(std::size_t layer, const Subject::Each& each);

 private:
  os::TempDir folder_;  ///< what is taken out of the image
  lock::Lock lock_;
  oci::ImageConfig config_;
  std::vector<std::string> taken_;
  std::vector<image::LayerPlan> plan_;
  std::unique_ptr<image::Engine> engine_;
};

}  // namespace slip::inspect
