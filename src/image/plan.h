#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "image/recipe.h"
#include "lock/lock.h"
#include "spec/spec.h"

namespace slip::image {

/// The Python prefix of every image.
inline constexpr const char* kPrefix = "/opt/venv";
/// Where slipway-init lies in every image.
inline constexpr const char* kInitPath = "/usr/lib/slipway/slipway-init";
/// Where every image carries the lock it was made from.
inline constexpr const char* kLockPath = "/usr/share/slipway/slipway.lock";
/// Id of the workspace user and group inside.
inline constexpr std::uint32_t kUserId = 1000;

/// The slipway-init that enters images, on this host.
struct InitProgram {
  std::filesystem::path path;
  Digest sha256;
};

/// The list of recipes of a locked spec, lowest layer first. Pure but for reading the project's files (for their
/// digests).
/// @throws Error NotFound: a file of `files:` is missing; Invalid: a target cannot be (it names the spec's line)
std::vector<LayerPlan> plan_layers(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init);
/// The same, with the project's files from elsewhere: out of an image that is made again. Pure.
std::vector<LayerPlan> plan_layers(const spec::Spec& spec, const lock::Lock& lock, const InitProgram& init,
                                   std::vector<ProjectFile> files);

/// The layers of a lock that are made of wheels.
std::vector<LayerPlan> wheel_layers(const lock::Lock& lock);

/// Environment of the image: PATH, LANG, then the spec's own.
std::map<std::string, std::string> image_env(const spec::Spec& spec);

/// Key of a list of recipes together: a merged root or what a step stands on.
Digest key_of_all(const std::vector<LayerPlan>& layers);

}  // namespace slip::image
