#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <vector>

#include "codec/layer.h"

namespace slip::store {

/// Ids that the files of a root get on the disk: the one host id that stands behind a sandbox or workspace.
struct DiskOwner {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};

/// What a path may lead through.
enum class Parents {
  Strict,  ///< folders that layers brought: what our own layers promise
  Follow,  ///< also links, which are followed inside the root, and folders that no layer brought: foreign layers
};

/// Lays layers over one another, lowest first, as one folder tree in the empty folder `into`.
///
/// Regular files become hard links to where their content lies (FileContent.path, SplicedContent.plain), inline
/// content becomes new files; whiteouts remove what lower layers brought. Devices are left out: whoever launches
/// mounts its own /dev. Owners in the items are not applied (see DiskOwner); modes are.
/// Nothing is ever written through a symbolic link out of `into`, and hard links are made inside it only.
///
/// @param owner  what folders, links and inline files are given; nullopt: left as created
/// @param owner_attribute  extended attribute in which the owners of files and folders that are not root's are recorded
///        as "UID GID", for sandboxes that emulate ownership (launch::kOwnerRecord); empty: none
/// @throws Error Conflict when an item's parent is not a folder; NoSpace; Denied
/// @source OCI image-spec v1.1 layer.md "Applying Changesets"
void write_root(const std::filesystem::path& into, std::span<const std::vector<codec::LayerItem>> layers,
                std::optional<DiskOwner> owner, const std::string& owner_attribute = {});

/// The same with one layer in memory at a time.
using LayerAt = std::function<std::vector<codec::LayerItem>(std::size_t)>;
void write_root(const std::filesystem::path& into, std::size_t count, const LayerAt& layer_at,
                std::optional<DiskOwner> owner, const std::string& owner_attribute, Parents parents);

}  // namespace slip::store
