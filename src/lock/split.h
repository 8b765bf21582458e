#pragma once

#include "lock/lock.h"

namespace slip::lock {

/// Assigns every package its layer: the base system in one; CUDA's Debian packages, of one source and version, in
/// another; a package of 8 MB or more in its own, named after it; the
/// rest by a hash of its name into a few buckets, so that a package more or less changes one bucket only.
/// At most 33 layers together, so that an image has at most 40 (configure,
/// system, slipway-init, nbextensions, services, files and the lock come on top) and one for each `run` step: the
/// largest win.
void split_layers(Lock& lock);

}  // namespace slip::lock
