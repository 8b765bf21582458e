#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "image/build.h"
#include "image/model_image.h"
#include "model/saved_model.h"
#include "oci/types.h"

/// From a SavedModel to an image that serves it and holds nothing else.
namespace slip::model {

using image::kGrpcPort;
using image::kModelLabel;
using image::kRestPort;
inline constexpr std::uint32_t kUserId = image::kModelUserId;
/// Where the model lies inside: /models/NAME/VERSION.
inline constexpr const char* kModels = "/models";
/// Where slipway-serve lies inside, without the leading "/".
inline constexpr const char* kServePath = "usr/bin/slipway-serve";
/// Digest of the image that the model was trained in.
inline constexpr const char* kTrainingLabel = "dev.slipway.training";

/// slipway's own programs that enter a model image, on this host.
struct Programs {
  image::InitProgram init;
  std::filesystem::path serve;
  Digest serve_sha256;
  std::optional<Digest> whole = {};  ///< `serve` is stripped already: of the program before that
  [[nodiscard]] const Digest& named() const noexcept { return whole ? *whole : serve_sha256; }
};

struct ShipInput {
  std::vector<SavedModel> models;  ///< versions of one model, ascending
  lock::Lock runtime;              ///< with one wheel (see with_tensorflow())
  Programs programs;
  std::string training;  ///< digest of the image that it was trained in; empty: not known
};

/// What a model image is made of.
struct ShipPlan {
  lock::Lock lock;                       ///< the packages that are really in it, and the wheel
  std::vector<image::LayerPlan> layers;  ///< system, tensorflow, slipway-serve, lock, versions (of several), model
  oci::ImageConfig config;               ///< without layers
};

/// Reads the programs' ELF files (unpacking the wheel's libraries where the store lacks them) for what they need of the
/// system, and writes down the recipes.
/// @throws Error NotFound, Invalid, Unavailable
ShipPlan plan_ship(const ShipInput& input, lock::Context& context);

/// The environment of a model image. @param several  it serves all its versions, not the newest alone
std::map<std::string, std::string> model_env(const std::string& name, bool several);

}  // namespace slip::model
