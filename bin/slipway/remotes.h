#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "gpu/give.h"
#include "launch/plan.h"
#include "oci/reference.h"
#include "oci/types.h"
#include "registry/remote.h"
#include "session.h"

namespace slip::cli {

/// The registry of `reference` with this person's credentials. @throws Error Usage when it names none
std::unique_ptr<registry::Remote> connect(Session& s, const oci::Reference& reference);

/// A pulled image.
struct PullAnswer {
  Digest digest;
  std::uint64_t downloaded = 0;  ///< bytes of layers
  bool unchanged = false;        ///< the store had it under this name
  std::string signed_by;         ///< file of the key that signed it; empty: no signature was asked for
};
/// Fetches, checks, unpacks and tags an image. @param verify_key  PEM file of a public key that must have signed it;
/// empty: what the configuration asks for this registry
PullAnswer pull_image(Session& s, const oci::Reference& from, const std::string& verify_key);

/// An image that can be started.
struct Runnable {
  std::string reference;
  Digest digest;
  oci::ImageConfig config;
  std::filesystem::path root;
};
/// The image of the store; one that it lacks is pulled when its name has a registry.
/// @throws Error NotFound
Runnable runnable_image(Session& s, const std::string& reference, bool offline);

/// What an image of others may have of this machine. Whoever made it chose the folders, and nobody here has read them
/// in a spec: they are mounted only where the person (`allowed`) or the configuration of its registry says so, and
/// told.
/// @param mounts  all of the plan @param given  those of the command line, which are the person's own
/// @param only_shown  nothing will be started: they are told, not refused
/// @throws Error Denied naming each and the ways to allow it
void check_mounts_of_image(Session& s, const std::string& reference, const std::vector<launch::Mount>& mounts,
                           const std::vector<launch::Mount>& given, bool allowed, bool only_shown);

/// Says that an image is made for CUDA when nobody asked for GPUs.
void note_gpus_of_image(Session& s, const std::string& reference, const gpu::Request& request);

/// The digest that `reference` has in the store. @throws Error NotFound with the nearest name
Digest require_image(Session& s, const std::string& reference);

}  // namespace slip::cli
