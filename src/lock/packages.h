#pragma once

#include <filesystem>
#include <optional>
#include <span>
#include <vector>

#include "deb/deb.h"
#include "lock/context.h"
#include "lock/lock.h"
#include "store/root.h"
#include "wheel/wheel.h"

/// From the lines of a lock to files on this host.
namespace slip::lock {

/// Brings the .deb files into the store, all at once; those already there cost one stat each.
void fetch_debs(std::span<const Deb> debs, Context& context);
/// Likewise wheels, sdists and tools. Sdists are not built here.
void fetch_wheels(std::span<const Wheel> wheels, Context& context);

/// Every package of the suite unpacked, in the order of `debs`.
std::vector<deb::Unpacked> unpack_debs(std::span<const Deb> debs, const std::string& suite, Context& context);

/// The root that maintainer scripts start from and that Python is run in: skeleton, packages and dpkg's database,
/// nothing configured. Kept in the store under a key made of the packages' digests.
std::filesystem::path unconfigured_root(std::span<const Deb> debs, const std::string& suite, Context& context);

/// What files of trees and roots are given on this host's disk.
std::optional<store::DiskOwner> disk_owner(const Context& context);

/// What the locked packages say about their interpreter; `root` is left empty. Pure.
/// @throws Error NotFound when the set has no such Python
wheel::Target interpreter_of(std::span<const Deb> debs, const std::string& suite, const std::string& python);

/// The interpreter of a locked set, run out of unconfigured_root().
wheel::Target target_of(std::span<const Deb> debs, const std::string& suite, const std::string& python,
                        Context& context);

/// Every wheel of the lock as a file in the store, in the order of lock.wheels: fetched, sdists built in the sandbox
/// and held against the lock's digest. @throws Error Corrupt when a build gives other bytes
std::vector<wheel::WheelInput> wheel_files(const Lock& lock, const wheel::Target& target, Context& context);

}  // namespace slip::lock
