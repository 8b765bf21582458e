#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <string>

#include "os/fd.h"

/// Mounts and user namespaces as descriptors. Nothing here changes the mount table of the caller.
namespace slip::os {

/// A detached copy of the mount at `path` (and of those below it). Needs CAP_SYS_ADMIN over the caller's mount
/// namespace.
Fd clone_tree(const std::filesystem::path& path, bool recursive);

/// Sets MOUNT_ATTR_* bits on a detached tree; `userns` (or an invalid Fd) turns it into an idmapped mount.
/// @return the error; EINVAL where the file system knows no idmapped mounts
SysRet set_tree_attributes(const Fd& tree, std::uint64_t attributes, bool recursive, const Fd& userns);

/// One id range of length 1 in a user namespace.
struct IdMap {
  std::uint32_t inside;
  std::uint32_t outside;
};
/// Writes uid_map, setgroups = deny and gid_map of a process whose user namespace is new.
void write_id_maps(pid_t pid, IdMap uid, IdMap gid);

/// A user namespace that maps just these ids, for set_tree_attributes(): what `inside` owns on the disk is shown as
/// `outside`. Root only.
Fd make_user_namespace(IdMap uid, IdMap gid);

/// clone3(2) without a new stack: like fork(), with namespaces. Returns 0 in the child, where nothing may be allocated:
/// other threads may have held any lock at the moment of the copy.
/// @param pidfd  receives a descriptor of the child
SysRet clone_process(std::uint64_t flags, int& pidfd) noexcept;

/// Which user namespaces this kernel refuses, as one action for the reader; empty when nothing stands out.
std::string user_namespace_hint();

}  // namespace slip::os
