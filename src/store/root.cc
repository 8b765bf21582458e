#include "store/root.h"

#include <dirent.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <map>
#include <memory>

#include "core/error.h"
#include "os/fd.h"
#include "os/file.h"

namespace slip::store {
namespace {

using codec::FileType;
using codec::LayerItem;

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";

struct CloseDir {
  void operator()(DIR* dir) const noexcept { ::closedir(dir); }
};

long raw_openat2(int at, const char* path, open_how* how) { return ::syscall(SYS_openat2, at, path, how, sizeof *how); }

/// One tree in the making. Items arrive sorted, so most share their parent with the one before.
class RootWriter {
 public:
  RootWriter(const std::filesystem::path& into, std::optional<DiskOwner> owner, std::string owner_attribute,
             Parents parents)
      : name_(into.string()),
        root_(os::open_dir(into)),
        owner_(owner),
        owner_attribute_(std::move(owner_attribute)),
        parents_(parents) {}

  void add(const LayerItem& item) {
    const std::string& path = item.entry.path;
    const std::size_t slash = path.rfind('/');
    const std::string parent = slash == std::string::npos ? std::string() : path.substr(0, slash);
    const std::string leaf = slash == std::string::npos ? path : path.substr(slash + 1);
    const int dir = parent_fd(parent, path);
    if (leaf == kOpaque) {
      clear(dir, path);
      return;
    }
    if (leaf.starts_with(kWhiteout)) {
      remove(dir, leaf.substr(kWhiteout.size()), path);
      return;
    }
    place(dir, leaf, item);
  }

  /// Gives folders their modes, inner ones first: a folder that its owner may not write could not be filled.
  void finish() {
    for (auto folder = folders_.rbegin(); folder != folders_.rend(); ++folder) {
      const os::SysRet opened = open_inside(folder->first, O_PATH | O_DIRECTORY | O_NOFOLLOW);
      if (opened.err == ENOENT || opened.err == ENOTDIR || opened.err == ELOOP) {
        continue;  // hidden by a later layer
      }
      const os::Fd dir(static_cast<int>(opened.or_throw("open `/{}`", folder->first)));
      os::call(::chmod, format("/proc/self/fd/{}", dir.get()).c_str(), folder->second)
          .or_throw("set the mode of `/{}`", folder->first);
    }
  }

 private:
  [[noreturn]] void not_a_folder(const std::string& parent, const std::string& path) const {
    throw Error(ErrorKind::Conflict, "`/{}` cannot be placed: `/{}` is not a folder in the layers below", path, parent);
  }

  /// Opens a path of the root without ever leaving it.
  [[nodiscard]] os::SysRet open_inside(const std::string& path, int flags) const {
    open_how how{};
    how.flags = static_cast<unsigned>(flags | O_CLOEXEC);
    how.resolve =
        parents_ == Parents::Follow ? RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS : RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS;
    return os::call(raw_openat2, root_.get(), path.empty() ? "." : path.c_str(), &how);
  }

  /// Folders on the way to a path that no layer brought.
  /// @param depth  of links that led here
  void make_parents(const std::string& parent, int depth = 0) {
    for (std::size_t slash = 0; slash != std::string::npos;) {
      slash = parent.find('/', slash + 1);
      const std::string folder = parent.substr(0, slash);
      if (open_and_close(folder)) {
        continue;
      }
      const std::size_t last = folder.rfind('/');
      const os::Fd above(
          static_cast<int>(open_inside(last == std::string::npos ? "" : folder.substr(0, last), O_RDONLY | O_DIRECTORY)
                               .or_throw("open the folder of `/{}`", folder)));
      const std::string leaf = last == std::string::npos ? folder : folder.substr(last + 1);
      const os::SysRet made = os::call(::mkdirat, above.get(), leaf.c_str(), mode_t{0755});
      if (made.err == EEXIST) {
        follow_dangling(above.get(), leaf, last == std::string::npos ? "" : folder.substr(0, last), depth);
      } else {
        (void)made.or_throw("make folder `/{}`", folder);
        chown(above.get(), leaf, folder);
      }
    }
  }

  /// A link to a folder that no layer brought: other engines make that folder.
  void follow_dangling(int above, const std::string& leaf, const std::string& folder, int depth) {
    constexpr int kMostLinks = 40;
    std::string target(4096, '\0');
    const os::SysRet read = os::call(::readlinkat, above, leaf.c_str(), target.data(), target.size());
    if (!read || depth >= kMostLinks) {
      return;  // no link, or one too many: the caller's open says what is wrong
    }
    target.resize(static_cast<std::size_t>(read.value));
    const std::filesystem::path whole =
        (target.starts_with('/') ? std::filesystem::path(target) : std::filesystem::path("/" + folder) / target)
            .lexically_normal();
    make_parents(whole.relative_path().string(), depth + 1);
  }

  [[nodiscard]] bool open_and_close(const std::string& folder) const {
    const os::SysRet opened = open_inside(folder, O_PATH | O_DIRECTORY);
    return opened && os::Fd(static_cast<int>(opened.value)).valid();
  }

  int parent_fd(const std::string& parent, const std::string& path) {
    if (parent_.valid() && parent == parent_name_) {
      return parent_.get();
    }
    auto opened = open_inside(parent, O_DIRECTORY | O_RDONLY);
    if (opened.err == ENOENT && parents_ == Parents::Follow) {
      make_parents(parent);
      opened = open_inside(parent, O_DIRECTORY | O_RDONLY);
    }
    if (opened.err == ENOTDIR || opened.err == ELOOP) {
      not_a_folder(parent, path);
    }
    parent_ = os::Fd(static_cast<int>(opened.or_throw("open folder `/{}` of `{}`", parent, name_)));
    parent_name_ = parent;
    return parent_.get();
  }

  void place(int dir, const std::string& leaf, const LayerItem& item) {
    switch (item.entry.type) {
      case FileType::Directory: place_folder(dir, leaf, item); return;
      case FileType::Regular: place_file(dir, leaf, item); return;
      case FileType::Symlink:
        replace(dir, leaf, item.entry.path);
        os::call(::symlinkat, item.entry.link.c_str(), dir, leaf.c_str()).or_throw("link `/{}`", item.entry.path);
        chown(dir, leaf, item.entry.path);
        return;
      case FileType::HardLink:
        replace(dir, leaf, item.entry.path);
        hard_link(dir, leaf, item.entry);
        return;
      case FileType::Fifo:
        replace(dir, leaf, item.entry.path);
        os::call(::mkfifoat, dir, leaf.c_str(), static_cast<mode_t>(item.entry.mode))
            .or_throw("make `/{}`", item.entry.path);
        chown(dir, leaf, item.entry.path);
        return;
      case FileType::CharDevice:
      case FileType::BlockDevice: return;
    }
  }

  void hard_link(int dir, const std::string& leaf, const codec::TarEntry& entry) {
    const os::Fd target(static_cast<int>(
        open_inside(entry.link, O_PATH | O_NOFOLLOW).or_throw("link `/{}` to `/{}`", entry.path, entry.link)));
    os::call(::linkat, AT_FDCWD, format("/proc/self/fd/{}", target.get()).c_str(), dir, leaf.c_str(), AT_SYMLINK_FOLLOW)
        .or_throw("link `/{}` to `/{}`", entry.path, entry.link);
  }

  void place_folder(int dir, const std::string& leaf, const LayerItem& item) {
    auto made = os::call(::mkdirat, dir, leaf.c_str(), mode_t{0700});
    if (made.err == EEXIST) {
      struct stat there{};
      os::call(::fstatat, dir, leaf.c_str(), &there, AT_SYMLINK_NOFOLLOW).or_throw("look at `/{}`", item.entry.path);
      if (!S_ISDIR(there.st_mode)) {
        replace(dir, leaf, item.entry.path);
        made = os::call(::mkdirat, dir, leaf.c_str(), mode_t{0700});
        (void)made.or_throw("make folder `/{}`", item.entry.path);
      }
    } else {
      (void)made.or_throw("make folder `/{}`", item.entry.path);
    }
    folders_[item.entry.path] = static_cast<mode_t>(item.entry.mode);
    chown(dir, leaf, item.entry.path);
    record_owner(dir, leaf, item);
  }

  void place_file(int dir, const std::string& leaf, const LayerItem& item) {
    if (const auto* file = std::get_if<codec::FileContent>(&item.content)) {
      link(dir, leaf, file->path, item.entry.path);
    } else if (const auto* spliced = std::get_if<codec::SplicedContent>(&item.content)) {
      link(dir, leaf, spliced->plain, item.entry.path);
    } else {
      const auto* text = std::get_if<codec::InlineContent>(&item.content);
      write(dir, leaf, text == nullptr ? std::string_view() : std::string_view(text->bytes), item);
    }
    record_owner(dir, leaf, item);
  }

  /// Root owns what has no record.
  void record_owner(int dir, const std::string& leaf, const LayerItem& item) {
    if (owner_attribute_.empty() || (item.entry.uid == 0 && item.entry.gid == 0)) {
      return;
    }
    const os::Fd file(static_cast<int>(os::call(::openat, dir, leaf.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC, mode_t{0})
                                           .or_throw("open `/{}`", item.entry.path)));
    const std::string path = format("/proc/self/fd/{}", file.get());
    const std::string record = format("{} {}", item.entry.uid, item.entry.gid);
    auto written = os::call(::setxattr, path.c_str(), owner_attribute_.c_str(), record.data(), record.size(), 0);
    if (written.err == EACCES) {  // its own mode forbids its owner to write
      os::call(::chmod, path.c_str(), static_cast<mode_t>(item.entry.mode | 0200U))
          .or_throw("open `/{}`", item.entry.path);
      written = os::call(::setxattr, path.c_str(), owner_attribute_.c_str(), record.data(), record.size(), 0);
      os::call(::chmod, path.c_str(), static_cast<mode_t>(item.entry.mode))
          .or_throw("set the mode of `/{}`", item.entry.path);
    }
    if (written.err == EOPNOTSUPP) {
      throw Error(ErrorKind::Unsupported, "the file system of `{}` has no user attributes, which builds need", name_)
          .add_hint("set SLIPWAY_STORE to a folder on another file system, ext4 or xfs say");
    }
    (void)written.or_throw("record the owner of `/{}`", item.entry.path);
  }

  void link(int dir, const std::string& leaf, const std::filesystem::path& from, const std::string& path) {
    auto linked = os::call(::linkat, AT_FDCWD, from.c_str(), dir, leaf.c_str(), 0);
    if (linked.err == EEXIST) {
      replace(dir, leaf, path);
      linked = os::call(::linkat, AT_FDCWD, from.c_str(), dir, leaf.c_str(), 0);
    }
    (void)linked.or_throw("link `/{}` to `{}`", path, from.string());
  }

  void write(int dir, const std::string& leaf, std::string_view text, const LayerItem& item) {
    replace(dir, leaf, item.entry.path);
    const os::Fd file(static_cast<int>(
        os::call(::openat, dir, leaf.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode_t{0600})
            .or_throw("make `/{}`", item.entry.path)));
    os::FdSink(file.get(), item.entry.path).write(as_bytes(text));
    os::call(::fchmod, file.get(), static_cast<mode_t>(item.entry.mode))
        .or_throw("set the mode of `/{}`", item.entry.path);
    chown(dir, leaf, item.entry.path);
  }

  void chown(int dir, const std::string& leaf, const std::string& path) {
    if (owner_) {
      os::call(::fchownat, dir, leaf.c_str(), uid_t{owner_->uid}, gid_t{owner_->gid}, AT_SYMLINK_NOFOLLOW)
          .or_throw("give `/{}` to its owner on the disk", path);
    }
  }

  /// Makes room for something that is not a folder, or takes a folder's place.
  void replace(int dir, const std::string& leaf, const std::string& path) {
    const auto gone = os::call(::unlinkat, dir, leaf.c_str(), 0);
    if (gone.err == EISDIR) {
      remove(dir, leaf, path);
    } else if (gone.err != ENOENT) {
      (void)gone.or_throw("replace `/{}`", path);
    }
  }

  void remove(int dir, const std::string& leaf, const std::string& path) {
    const auto gone = os::call(::unlinkat, dir, leaf.c_str(), 0);
    if (gone.err == 0 || gone.err == ENOENT) {
      return;
    }
    if (gone.err != EISDIR) {
      (void)gone.or_throw("remove what `/{}` hides", path);
    }
    parent_name_ = "\n";  // descriptors of what is removed must not be used again
    {
      const os::Fd inner(static_cast<int>(
          os::call(::openat, dir, leaf.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW, mode_t{0})
              .or_throw("open what `/{}` hides", path)));
      clear(inner.get(), path);
    }
    os::call(::unlinkat, dir, leaf.c_str(), AT_REMOVEDIR).or_throw("remove what `/{}` hides", path);
  }

  void clear(int dir, const std::string& path) {
    const std::unique_ptr<DIR, CloseDir> list(::fdopendir(static_cast<int>(
        os::call(::openat, dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC, mode_t{0}).or_throw("list `/{}`", path))));
    std::vector<std::string> names;
    while (const dirent* entry = ::readdir(list.get())) {
      const std::string name = entry->d_name;
      if (name != "." && name != "..") {
        names.push_back(name);
      }
    }
    for (const std::string& name : names) {
      remove(dir, name, path);
    }
  }

  std::string name_;
  os::Fd root_;
  std::optional<DiskOwner> owner_;
  os::Fd parent_;
  std::string parent_name_ = "\n";
  std::map<std::string, mode_t> folders_;
  std::string owner_attribute_;
  Parents parents_;
};

/// Whiteouts speak about lower layers only, so those of one layer come before everything else of it.
bool is_whiteout(const LayerItem& item) {
  const std::size_t slash = item.entry.path.rfind('/');
  const std::string_view leaf = std::string_view(item.entry.path).substr(slash == std::string::npos ? 0 : slash + 1);
  return leaf.starts_with(kWhiteout);
}

}  // namespace

void write_root(const std::filesystem::path& into, std::size_t count, const LayerAt& layer_at,
                std::optional<DiskOwner> owner, const std::string& owner_attribute, Parents parents) {
  RootWriter root(into, owner, owner_attribute, parents);
  for (std::size_t i = 0; i < count; ++i) {
    const std::vector<LayerItem> layer = layer_at(i);
    for (const LayerItem& item : layer) {
      if (is_whiteout(item)) {
        root.add(item);
      }
    }
    for (const LayerItem& item : layer) {
      if (!is_whiteout(item)) {
        root.add(item);
      }
    }
  }
  root.finish();
}

void write_root(const std::filesystem::path& into, std::span<const std::vector<LayerItem>> layers,
                std::optional<DiskOwner> owner, const std::string& owner_attribute) {
  write_root(into, layers.size(), [&](std::size_t i) { return layers[i]; }, owner, owner_attribute, Parents::Strict);
}

}  // namespace slip::store
