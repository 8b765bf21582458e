#pragma once

#include <optional>
#include <string>
#include <vector>

#include "image/recipe.h"
#include "spec/spec.h"

/// The services of an image: what slipway-init starts, and how Jupyter and sshd are set up. Secrets are never here:
/// they lie in /run/slipway/keys of a running workspace (jupyter_token, jupyter_password, authorized_keys,
/// ssh_host_ed25519_key), or are made inside when nobody mounts them.
namespace slip::image {

/// Ports inside. The launch plan or an engine's `-p` decides where they are published.
inline constexpr int kJupyterPort = 8888;
inline constexpr int kSshPort = 2222;
/// What slipway-init starts; an image without services has no such file.
inline constexpr const char* kServicesPath = "/etc/slipway/services.json";

/// The files of the spec's services; nullopt when it has none.
std::optional<TextsRecipe> services_recipe(const spec::Spec& spec, std::int64_t epoch);

}  // namespace slip::image
