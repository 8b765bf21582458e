#pragma once

#include <optional>
#include <string>
#include <vector>

#include "cuda/toolkit.h"
#include "lock/context.h"
#include "lock/lock.h"
#include "spec/spec.h"

namespace slip::lock {

struct SolveOptions {
  std::optional<Lock> previous;     ///< its choices are kept where the spec still allows them
  std::vector<std::string> update;  ///< packages (Debian or Python) whose pin may move
  bool update_all = false;          ///< every pin may move
  Digest init;                      ///< of the slipway-init that belongs to this slipway
};

/// Makes the lock of a spec: solves Debian, unpacks it, lets uv resolve against that interpreter, splits into layers.
/// Asks the network only for what may have changed: with an unchanged set of Debian requests the previous packages
/// stand, and an unchanged spec returns the previous lock.
/// @throws Error Conflict, NotFound with an explanation to act on; Unavailable
Lock solve(const spec::Spec& spec, const SolveOptions& options, Context& context);

/// Why `lock` cannot be used with `spec` any more ("the spec changed", "it was written for another slipway-init");
/// empty: it can.
std::string stale_reason(const Lock& lock, const spec::Spec& spec, const Digest& init);

/// What the `gpu:` of a spec brings; nothing without it. @throws Error Unsupported when it cannot be had
cuda::Parts cuda_parts(const spec::Spec& spec);

/// What an image gets besides what the spec lists, because of its services or its GPU.
struct Implied {
  std::string text;                ///< a Debian package name or a PEP 508 requirement
  std::string why;                 ///< "service jupyter", "base", "gpu"
  std::string component = "main";  ///< of a Debian package
};
/// @throws Error Unsupported when the spec's CUDA or cuDNN cannot be had
std::vector<Implied> implied_debs(const spec::Spec& spec);
std::vector<Implied> implied_requirements(const spec::Spec& spec);

}  // namespace slip::lock
