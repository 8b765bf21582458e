#include "deb/archive.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <set>

#include "codec/ar.h"
#include "codec/compress.h"
#include "core/error.h"
#include "core/text.h"
#include "deb/control.h"
#include "deb/manifest.h"
#include "deb/release.h"
#include "os/file.h"

namespace slip::deb {
namespace {

using codec::FileType;
using codec::LayerItem;
using codec::TarEntry;

/// MD5 is what dpkg's own database is made of; nothing is trusted because of it.
class Md5 {
 public:
  Md5() : context_(EVP_MD_CTX_new()) { EVP_DigestInit_ex(context_, EVP_md5(), nullptr); }
  Md5(const Md5&) = delete;
  Md5& operator=(const Md5&) = delete;
  ~Md5() { EVP_MD_CTX_free(context_); }
  void update(ByteView bytes) { EVP_DigestUpdate(context_, bytes.data(), bytes.size()); }
  std::string hex() {
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned size = 0;
    EVP_DigestFinal_ex(context_, digest.data(), &size);
    std::string text;
    for (unsigned i = 0; i < size; ++i) {
      text += format("{:02x}", static_cast<unsigned>(digest[i]));
    }
    return text;
  }

 private:
  EVP_MD_CTX* context_;
};

/// The member whose name starts with `stem` ("control.tar"), whatever the compression.
ByteView member(const std::vector<codec::ArMember>& members, std::string_view stem, const std::string& name) {
  for (const codec::ArMember& m : members) {
    if (m.name == stem || m.name.starts_with(std::string(stem) + ".")) {
      return m.bytes;
    }
  }
  throw Error(ErrorKind::Invalid, "`{}` holds no `{}`", name, stem);
}

std::string read_content(codec::TarReader& tar, const TarEntry& entry) {
  std::string text(entry.size, '\0');
  const std::size_t count = read_full(tar.content(), {reinterpret_cast<std::uint8_t*>(text.data()), text.size()});
  text.resize(count);
  return text;
}

void read_control(ByteView packed, const std::string& name, Unpacked& package) {
  MemorySource memory(packed);
  const std::unique_ptr<Source> plain = codec::open_compressed(memory, name);
  codec::TarReader tar(*plain, kControlLimits);
  while (const std::optional<TarEntry> entry = tar.next()) {
    if (entry->type != FileType::Regular) {
      continue;
    }
    // The names become names of files in var/lib/dpkg/info.
    if (entry->path.find('/') != std::string::npos || entry->path.empty()) {
      throw Error(ErrorKind::Invalid, "`{}` has a control file `{}`", name, printable(entry->path));
    }
    std::string text = read_content(tar, *entry);
    if (entry->path == "control") {
      package.control = parse_control(text, name + " control");
      while (text.ends_with('\n')) {
        text.pop_back();
      }
      package.control_text = std::move(text);
    } else {
      package.control_files.emplace_back(entry->path, std::move(text));
    }
  }
  std::sort(package.control_files.begin(), package.control_files.end());
  for (const char* field : {"Package", "Version", "Architecture"}) {
    if (package.field(field).empty()) {
      throw Error(ErrorKind::Invalid, "`{}`: its control file has no {}", name, field);
    }
  }
  const std::string& given = package.name();
  const bool good = std::all_of(given.begin(), given.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' || c == '-' || c == '.';
  });
  if (!good || given.front() == '.' || given.front() == '-') {
    throw Error(ErrorKind::Invalid, "`{}`: `{}` is no package name", name, printable(given));
  }
}

struct Conffile {
  std::string path;
  bool shipped = true;  ///< "remove-on-upgrade /etc/x": an old one that is to go, not part of the package
};

std::vector<Conffile> conffiles_of(const Unpacked& package) {
  static constexpr std::string_view kRemove = "remove-on-upgrade ";
  std::vector<Conffile> found;
  if (const std::string* text = package.control_file("conffiles")) {
    for (const std::string_view line : split(*text, '\n')) {
      if (line.starts_with('/')) {
        found.push_back({std::string(trim(line)), true});
      } else if (line.starts_with(kRemove)) {
        found.push_back({std::string(trim(line.substr(kRemove.size()))), false});
      }
    }
  }
  return found;
}

class DataReader {
 public:
  DataReader(Unpacked& package, const std::string& name, const std::filesystem::path& into, bool merged_usr,
             std::optional<launch::HostId> owner)
      : package_(package), name_(name), root_(into / "root"), merged_(merged_usr), owner_(owner) {
    os::make_dirs(root_, 0755);
    make_md5sums_ = package.control_file("md5sums") == nullptr;
    for (const Conffile& conffile : conffiles_of(package)) {
      if (conffile.shipped) {
        conffiles_.emplace(conffile.path, "");
      }
    }
  }

  void read(ByteView packed) {
    MemorySource memory(packed);
    const std::unique_ptr<Source> plain = codec::open_compressed(memory, name_);
    codec::TarReader tar(*plain, kDataLimits);
    package_.shipped.emplace_back("/.");
    while (std::optional<TarEntry> entry = tar.next()) {
      package_.shipped.push_back("/" + entry->path);
      if (entry->path.find('\n') != std::string::npos) {
        throw Error(ErrorKind::Invalid, "`{}` ships a name with a line break: `{}`", name_, printable(entry->path));
      }
      add(std::move(*entry), tar);
    }
    finish();
  }

 private:
  void add(TarEntry entry, codec::TarReader& tar) {
    const std::string shipped = entry.path;
    if (merged_) {
      entry.path = merged_path(entry.path, entry.type == FileType::Directory);
      if (entry.type == FileType::HardLink) {
        entry.link = merged_path(entry.link, false);
      }
      if (entry.type == FileType::Symlink && shipped.find('/') == std::string::npos &&
          merged_path(shipped, true) != shipped) {
        return;  // the release's own usr-merge links are in the skeleton
      }
    }
    if (entry.path != shipped) {
      rare_.insert(shipped.substr(0, shipped.find('/')));
    }
    check_place(entry);
    switch (entry.type) {
      case FileType::Regular:
        write(entry, shipped, tar);
        entry.mode &= ~06000U;
        break;
      case FileType::HardLink:
        if (!types_.contains(entry.link) || types_.at(entry.link) != FileType::Regular) {
          throw Error(ErrorKind::Invalid, "`{}` links `/{}` to `/{}`, which it does not ship", name_,
                      printable(entry.path), printable(entry.link));
        }
        break;
      case FileType::Symlink:
      case FileType::CharDevice:
      case FileType::BlockDevice:
      case FileType::Directory:
      case FileType::Fifo: break;
    }
    types_[entry.path] = entry.type;
    LayerItem item{std::move(entry), codec::NoContent{}};
    package_.items.push_back(std::move(item));
  }

  /// A path comes once (folders may come again), and below folders only.
  void check_place(const TarEntry& entry) {
    const auto known = types_.find(entry.path);
    if (known != types_.end() && (known->second != FileType::Directory || entry.type != FileType::Directory)) {
      throw Error(ErrorKind::Invalid, "`{}` ships `/{}` twice", name_, printable(entry.path));
    }
    for (std::size_t slash = entry.path.find('/'); slash != std::string::npos;
         slash = entry.path.find('/', slash + 1)) {
      const auto parent = types_.find(entry.path.substr(0, slash));
      if (parent != types_.end() && parent->second != FileType::Directory) {
        throw Error(ErrorKind::Invalid, "`{}` ships `/{}` below a path that is no folder", name_,
                    printable(entry.path));
      }
    }
  }

  void write(const TarEntry& entry, const std::string& shipped, codec::TarReader& tar) {
    const std::filesystem::path path = root_ / entry.path;
    if (folders_.insert(path.parent_path().string()).second) {
      os::make_dirs(path.parent_path(), 0755);
    }
    const os::Fd fd(
        static_cast<int>(os::call(::open, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600)
                             .or_throw("write `{}`", path.string())));
    const auto conffile = conffiles_.find("/" + shipped);
    const bool hash = make_md5sums_ || conffile != conffiles_.end();
    Md5 md5;
    os::FdSink sink(fd.get(), path.string());
    std::uint64_t left = entry.size;
    while (left > 0) {
      const std::size_t count = tar.content().read(buffer_);
      if (count == 0) {
        throw Error(ErrorKind::Invalid, "`{}` ends within `/{}`", name_, printable(entry.path));
      }
      const ByteView piece(buffer_.data(), count);
      sink.write(piece);
      if (hash) {
        md5.update(piece);
      }
      left -= count;
    }
    if (owner_) {
      os::call(::fchown, fd.get(), static_cast<uid_t>(owner_->uid), static_cast<gid_t>(owner_->gid))
          .or_throw("give `{}` to the id of sandboxes", path.string());
    }
    os::call(::fchmod, fd.get(), (entry.mode & 0777U) | 0400U).or_throw("set the mode of `{}`", path.string());
    if (hash) {
      const std::string hex = md5.hex();
      if (conffile != conffiles_.end()) {
        conffile->second = hex;
      } else {
        md5sums_ += hex + "  " + shipped + "\n";
      }
    }
  }

  /// In a sorted layer the first name of a file must be the one that holds the bytes.
  void order_hard_links() {
    std::map<std::string, std::vector<std::size_t>> links;
    for (std::size_t i = 0; i < package_.items.size(); ++i) {
      if (package_.items[i].entry.type == FileType::HardLink) {
        links[package_.items[i].entry.link].push_back(i);
      }
    }
    if (links.empty()) {
      return;
    }
    for (LayerItem& item : package_.items) {
      const auto group = links.find(item.entry.path);
      if (item.entry.type != FileType::Regular || group == links.end()) {
        continue;
      }
      std::size_t first = group->second.front();
      for (const std::size_t i : group->second) {
        if (package_.items[i].entry.path < package_.items[first].entry.path) {
          first = i;
        }
      }
      TarEntry& earliest = package_.items[first].entry;
      if (earliest.path < item.entry.path) {
        os::make_dirs((root_ / earliest.path).parent_path(), 0755);
        os::call(::rename, (root_ / item.entry.path).c_str(), (root_ / earliest.path).c_str())
            .or_throw("rename `{}`", (root_ / item.entry.path).string());
        std::swap(earliest.path, item.entry.path);
      }
      for (const std::size_t i : group->second) {
        TarEntry& link = package_.items[i].entry;
        link.link = item.entry.path;
        link.mode = item.entry.mode;
        link.uid = item.entry.uid;
        link.gid = item.entry.gid;
        link.mtime = item.entry.mtime;
        link.size = 0;
      }
    }
  }

  /// /lib32 and /libx32 become links only where some package has them.
  void link_rare_folders() {
    for (const std::string name : {"lib32", "libx32"}) {
      if (!rare_.contains(name)) {
        continue;
      }
      TarEntry link;
      link.path = name;
      link.type = FileType::Symlink;
      link.mode = 0777;
      link.link = "usr/" + name;
      package_.items.push_back({std::move(link), codec::NoContent{}});
    }
  }

  void finish() {
    order_hard_links();
    link_rare_folders();
    codec::sort_items(package_.items);
    for (LayerItem& item : package_.items) {
      if (item.entry.type == FileType::Regular && item.entry.size > 0) {
        item.content = codec::FileContent{root_ / item.entry.path};
      }
    }
    for (const Conffile& conffile : conffiles_of(package_)) {
      const std::string md5 = conffile.shipped ? conffiles_.at(conffile.path) : "newconffile remove-on-upgrade";
      if (md5.empty()) {
        throw Error(ErrorKind::Invalid, "`{}` declares the configuration file `{}`, which it does not ship", name_,
                    printable(conffile.path));
      }
      package_.conffiles.emplace_back(conffile.path, md5);
    }
    if (make_md5sums_ && !md5sums_.empty()) {
      package_.control_files.emplace_back("md5sums", md5sums_);
      std::sort(package_.control_files.begin(), package_.control_files.end());
    }
  }

  Unpacked& package_;
  const std::string& name_;
  std::filesystem::path root_;
  bool merged_;
  std::optional<launch::HostId> owner_;
  bool make_md5sums_ = false;
  std::string md5sums_;
  std::map<std::string, std::string> conffiles_;
  std::map<std::string, FileType> types_;
  std::set<std::string> folders_;
  std::set<std::string> rare_;  ///< folders of the root that were mapped into /usr
  std::array<std::uint8_t, std::size_t{256} * 1024> buffer_{};
};

}  // namespace

const std::string& Unpacked::field(const std::string& key) const {
  static const std::string none;
  const auto found = control.find(key);
  return found == control.end() ? none : found->second;
}

const std::string* Unpacked::control_file(std::string_view key) const {
  for (const auto& [name, text] : control_files) {
    if (name == key) {
      return &text;
    }
  }
  return nullptr;
}

std::string merged_path(const std::string& path, bool leaf_is_folder) {
  static const std::set<std::string, std::less<>> aliased = {"bin", "sbin", "lib", "lib32", "lib64", "libx32"};
  const std::size_t slash = path.find('/');
  if (slash == std::string::npos && !leaf_is_folder) {
    return path;
  }
  return aliased.contains(std::string_view(path).substr(0, slash)) ? "usr/" + path : path;
}

Unpacked read_deb(const std::filesystem::path& deb_file, const std::filesystem::path& into, bool merged_usr,
                  std::optional<launch::HostId> owner) {
  const std::string name = deb_file.filename().string();
  const os::Mapping archive(deb_file);
  const std::vector<codec::ArMember> members = codec::read_ar(archive.bytes(), name);
  const std::string_view format_version = members.empty() ? std::string_view() : as_text(members.front().bytes);
  if (members.empty() || members.front().name != "debian-binary" || !format_version.starts_with("2.")) {
    throw Error(ErrorKind::Invalid, "`{}` is no Debian package of format 2", name);
  }
  Unpacked package;
  package.folder = into;
  read_control(member(members, "control.tar", name), name, package);
  const std::string label = package.name() + " " + package.field("Version");
  auto reader = std::make_unique<DataReader>(package, label, into, merged_usr, owner);
  reader->read(member(members, "data.tar", name));
  return package;
}

Unpacked unpack(const std::filesystem::path& deb_file, const Digest& sha256, const std::string& release,
                store::Store& store, const launch::HostId& owner) {
  const bool merged = known_release(release).merged_usr;
  const bool root = ::geteuid() == 0;
  std::string key = "deb-" + sha256.hex() + (merged ? "-2m" : "-2s");
  if (root) {
    key += format("-{}", static_cast<std::uint32_t>(owner.uid));
  }
  const std::filesystem::path tree = store.ensure_tree(key, [&](const std::filesystem::path& into) {
    const Unpacked package = read_deb(deb_file, into, merged, root ? std::optional(owner) : std::nullopt);
    const std::string manifest = write_manifest(package);
    const std::filesystem::path path = into / "manifest";
    const os::Fd fd(static_cast<int>(os::call(::open, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)
                                         .or_throw("write `{}`", path.string())));
    os::FdSink(fd.get(), path.string()).write(as_bytes(manifest));
  });
  return read_manifest(os::read_file(tree / "manifest"), tree);
}

std::vector<LayerItem> skeleton(const std::string& release) {
  const DebianRelease& known = known_release(release);
  std::vector<LayerItem> items;
  const auto folder = [&](const char* path, std::uint32_t mode = 0755) {
    TarEntry entry;
    entry.path = path;
    entry.type = FileType::Directory;
    entry.mode = mode;
    items.push_back({std::move(entry), codec::NoContent{}});
  };
  for (const char* path : {"dev", "etc", "proc", "run", "sys", "usr", "var"}) {
    folder(path);
  }
  folder("tmp", 01777);
  if (known.merged_usr) {
    for (const std::string path : {"bin", "lib", "lib64", "sbin"}) {
      folder(("usr/" + path).c_str());
      TarEntry link;
      link.path = path;
      link.type = FileType::Symlink;
      link.mode = 0777;
      link.link = "usr/" + path;
      items.push_back({std::move(link), codec::NoContent{}});
    }
  }
  codec::sort_items(items);
  return items;
}

}  // namespace slip::deb
