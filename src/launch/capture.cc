#include "launch/capture.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"

namespace slip::launch {
namespace {

namespace fs = std::filesystem;
using codec::FileType;
using Change = Sandbox::Change;

std::vector<std::string> attribute_names(const std::string& path) {
  std::string list(65536, '\0');
  const ssize_t n = ::llistxattr(path.c_str(), list.data(), list.size());
  std::vector<std::string> names;
  if (n <= 0) {
    return names;
  }
  for (const std::string_view name : split(std::string_view(list).substr(0, static_cast<std::size_t>(n) - 1), '\0')) {
    names.emplace_back(name);
  }
  return names;
}

std::string attribute(const std::string& path, const std::string& name) {
  std::string value(65536, '\0');
  const ssize_t n = ::lgetxattr(path.c_str(), name.c_str(), value.data(), value.size());
  value.resize(n < 0 ? 0 : static_cast<std::size_t>(n));
  return value;
}

/// File capabilities set inside a user namespace carry the namespace's root id (version 3); in an image they belong to
/// whoever is root there (version 2).
/// @source linux/capability.h vfs_ns_cap_data
std::string without_root_id(std::string capability) {
  constexpr std::size_t kVersion2 = 20;
  if (capability.size() > kVersion2 && capability[3] == 3) {
    capability.resize(kVersion2);
    capability[3] = 2;
  }
  return capability;
}

class Walker {
 public:
  Walker(std::int64_t epoch, const OwnershipSupervisor::LinkOwners& links, const std::set<std::string>& skipped)
      : epoch_(epoch), links_(links), skipped_(skipped) {}

  void folder(const fs::path& on_disk, const std::string& inner) {
    std::vector<std::string> names;
    for (const fs::directory_entry& entry : fs::directory_iterator(on_disk)) {
      names.push_back(entry.path().filename().string());
    }
    std::sort(names.begin(), names.end());
    for (const std::string& name : names) {
      const std::string path = inner.empty() ? name : inner + "/" + name;
      if (!skipped_.contains(path)) {
        one(on_disk / name, path);
      }
    }
  }

  std::vector<Change> take() {
    std::sort(changes_.begin(), changes_.end(),
              [](const Change& a, const Change& b) { return a.entry.path < b.entry.path; });
    link_twins();
    return std::move(changes_);
  }

 private:
  void one(const fs::path& on_disk, const std::string& path) {
    struct stat there{};
    os::call(::lstat, on_disk.c_str(), &there).or_throw("look at `/{}` of a build step", path);
    Change change;
    codec::TarEntry& entry = change.entry;
    entry.path = path;
    entry.mode = there.st_mode & 07777U;
    entry.mtime = std::min<std::int64_t>(there.st_mtim.tv_sec, epoch_);
    if (S_ISCHR(there.st_mode) && there.st_rdev == 0) {
      change.kind = Change::Kind::Removed;
      changes_.push_back(std::move(change));
      return;
    }
    readable(on_disk, there);
    describe(change, on_disk, there);
    const bool folder_here = S_ISDIR(there.st_mode);
    if (entry.type == FileType::Regular && there.st_nlink > 1) {
      twins_[{there.st_dev, there.st_ino}].push_back(path);
    }
    changes_.push_back(std::move(change));
    if (folder_here) {
      folder(on_disk, path);
    }
  }

  /// What the image's own root could read, we must be able to read too; the true mode stands in the entry already.
  static void readable(const fs::path& on_disk, const struct stat& there) {
    const mode_t wanted = S_ISDIR(there.st_mode) ? 0700 : S_ISREG(there.st_mode) ? 0400 : 0;
    if ((there.st_mode & wanted) != wanted) {
      os::call(::chmod, on_disk.c_str(), (there.st_mode & 07777U) | wanted).or_throw("open `{}`", on_disk.string());
    }
  }

  void describe(Change& change, const fs::path& on_disk, const struct stat& there) const {
    codec::TarEntry& entry = change.entry;
    switch (there.st_mode & S_IFMT) {
      case S_IFREG:
        entry.type = FileType::Regular;
        entry.size = static_cast<std::uint64_t>(there.st_size);
        change.content = on_disk;
        break;
      case S_IFDIR: entry.type = FileType::Directory; break;
      case S_IFLNK:
        entry.type = FileType::Symlink;
        entry.link = fs::read_symlink(on_disk).string();
        break;
      case S_IFIFO: entry.type = FileType::Fifo; break;
      default:
        throw Error(ErrorKind::Invalid, "a build step left `/{}`, which is a socket or device: no image can hold it",
                    entry.path)
            .add_hint("remove it at the end of the step");
    }
    if (entry.type == FileType::Symlink) {
      if (const auto found = links_.find(entry.path); found != links_.end()) {
        entry.uid = found->second.uid;
        entry.gid = found->second.gid;
      }
      return;
    }
    const std::string path = on_disk.string();
    for (const std::string& name : attribute_names(path)) {
      if (name == kOwnerRecord) {
        const auto owner = parse_record(attribute(path, name));
        entry.uid = owner.value_or(Owner{}).uid;
        entry.gid = owner.value_or(Owner{}).gid;
      } else if (name == "user.overlay.opaque" || name == "trusted.overlay.opaque") {
        change.kind = Change::Kind::Replaced;
      } else if (name == "security.capability") {
        entry.xattrs[name] = without_root_id(attribute(path, name));
      } else if (name.starts_with("user.") && !name.starts_with("user.overlay.") &&
                 !name.starts_with("user.slipway.")) {
        entry.xattrs[name] = attribute(path, name);
      }
    }
  }

  /// Files with one inode: the first path keeps the content, the others become hard links to it.
  void link_twins() {
    std::map<std::string, std::string> first;
    for (auto& [inode, paths] : twins_) {
      std::sort(paths.begin(), paths.end());
      for (std::size_t i = 1; i < paths.size(); ++i) {
        first[paths[i]] = paths[0];
      }
    }
    for (Change& change : changes_) {
      if (const auto found = first.find(change.entry.path); found != first.end()) {
        change.entry.type = FileType::HardLink;
        change.entry.link = found->second;
        change.entry.size = 0;
        change.entry.xattrs.clear();
        change.content.clear();
      }
    }
  }

  std::int64_t epoch_;
  const OwnershipSupervisor::LinkOwners& links_;
  const std::set<std::string>& skipped_;
  std::vector<Change> changes_;
  std::map<std::pair<dev_t, ino_t>, std::vector<std::string>> twins_;
};

}  // namespace

std::vector<Change> capture_upper(const fs::path& upper, std::int64_t epoch,
                                  const OwnershipSupervisor::LinkOwners& links, const std::set<std::string>& skipped) {
  Walker walker(epoch, links, skipped);
  walker.folder(upper, "");
  return walker.take();
}

}  // namespace slip::launch
