#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "image/plan.h"
#include "lock/lock.h"
#include "spec/spec.h"

namespace slip::cli {

/// A project folder as a command finds it: the spec, and the lock beside it if there is one.
struct Project {
  spec::Spec spec;
  std::filesystem::path lock_file;  ///< slipway.lock, or slipway.VARIANT.lock
  std::optional<lock::Lock> lock;
};

/// Reads the spec (`file` empty: slipway.yaml here or in the nearest folder above) and its lock.
/// @throws Error NotFound with `slipway init` as hint
Project open_project(const std::string& file, const std::string& variant);

/// The lock whose choices a new one keeps where it can: its own, or for a variant that is locked for the first time
/// that of the base.
std::optional<lock::Lock> lock_to_follow(const Project& project);

/// The slipway-init that belongs to this program: beside it, as built or installed. SLIPWAY_INIT overrides.
image::InitProgram find_init();
/// Another program of slipway's, beside slipway or where the variable says, with its digest.
/// @throws Error NotFound
std::pair<std::filesystem::path, Digest> find_program(const char* name, const char* variable);

/// The project's lock when it can be used as it is. @throws Error NotFound or Conflict with `slipway lock` as hint
const lock::Lock& require_lock(const Project& project, const image::InitProgram& init);

}  // namespace slip::cli
