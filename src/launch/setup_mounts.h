#pragma once

#include "launch/setup.h"

/// The file system part of run_child(); the rules of setup.h hold.
namespace slip::launch::child {

/// Sends a Failure with errno and ends the process.
[[noreturn]] void give_up(const Setup& setup, Step step, const char* detail) noexcept;

/// From the host's mount tree to the finished root of the sandbox, as the process's root and working directory.
void build_root(const Setup& setup) noexcept;

/// "/proc/self/fd/N" without an allocation.
struct FdPath {
  char text[32] = "/proc/self/fd/";
  explicit FdPath(int fd) noexcept;
};
/// The folder or file `path` below the folder `root`, as O_PATH; made with all its parents when missing, whatever links
/// lie there. @return -1 with errno
int make_inside(int root, const char* path, bool folder, mode_t mode) noexcept;
/// A detached file system of this type with up to two options. @return -1 with errno
int make_fs(const char* type, std::uint64_t attributes, const char* key1 = nullptr, const char* value1 = nullptr,
            const char* key2 = nullptr, const char* value2 = nullptr) noexcept;
/// Mounts a detached tree on an O_PATH descriptor.
bool attach(int tree, int target) noexcept;
/// Adds MOUNT_ATTR_* bits to a detached tree.
bool set_attributes(int tree, std::uint64_t attributes, bool recursive) noexcept;
/// A detached copy of a mount; an empty path: of `dir` itself. @return -1 with errno
int clone_at(int dir, const char* path, bool recursive) noexcept;
/// A detached copy of what the bind shows. @return -1 with errno
int tree_of(const Bind& bind) noexcept;
/// Image and writable layer, mounted at `root` of the folder `base`, which has `lower`, `state` and `root`.
/// @return the merged root as O_PATH
int mount_overlay(const Setup& setup, int base) noexcept;

}  // namespace slip::launch::child
