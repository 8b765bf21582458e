#include "image/files.h"

#include <sys/stat.h>

#include <algorithm>
#include <map>

#include "codec/sha256.h"
#include "core/error.h"
#include "deb/deb.h"
#include "os/file.h"
#include "spec/ignore.h"

namespace slip::image {
namespace {

namespace fs = std::filesystem;

Digest digest_of(const fs::path& file) {
  const os::Mapping bytes(file);
  return codec::sha256(bytes.bytes());
}

std::string place_text(const spec::Place& place) { return format("{}:{}:{}", place.file, place.line, place.column); }

/// Collects one image path per key, and the folders that lead to each.
class Collector {
 public:
  Collector(const spec::Spec& spec, const std::string& suite)
      : spec_(spec), ignore_(spec::IgnoreRules::load(spec.folder)) {
    for (const codec::LayerItem& item : deb::skeleton(suite)) {
      if (item.entry.type == codec::FileType::Symlink) {
        links_[item.entry.path] = item.entry.link;
      }
    }
  }

  void add(const spec::FileMapping& mapping) {
    const fs::path source = spec_.folder / mapping.source;
    struct stat there{};
    if (::lstat(source.c_str(), &there) != 0) {
      throw Error(ErrorKind::NotFound, "{}: `{}` does not exist", place_text(mapping.place), mapping.source);
    }
    std::string target = under_links(mapping.target.substr(1));
    while (target.ends_with('/')) {
      target.pop_back();
    }
    add_path(source, mapping.source, target, mapping.place, true);
  }

  std::vector<ProjectFile> take() {
    std::vector<ProjectFile> files;
    for (auto& [path, file] : files_) {
      for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        parents_.insert(path.substr(0, slash));
      }
    }
    for (auto& [path, file] : files_) {
      parents_.erase(path);
      files.push_back(std::move(file));
    }
    // Folders on the way that the project does not ship, such as /workspace, belong to layers below: they are not
    // repeated here unless a mapping made them.
    for (const std::string& parent : parents_) {
      if (!known_below(parent)) {
        files.push_back({parent, "", 0755, 0, {}, "", ProjectFile::Kind::Folder});
      }
    }
    std::sort(files.begin(), files.end(), [](const ProjectFile& a, const ProjectFile& b) { return a.path < b.path; });
    return files;
  }

 private:
  /// bin/x → usr/bin/x where the release has merged /usr: nothing is written through a link.
  [[nodiscard]] std::string under_links(std::string target) const {
    const std::string first = target.substr(0, target.find('/'));
    if (const auto link = links_.find(first); link != links_.end()) {
      target = link->second + target.substr(first.size());
    }
    return target;
  }

  [[nodiscard]] static bool known_below(const std::string& folder) {
    static const std::array<std::string_view, 17> kThere = {
        "etc",       "home",    "opt",      "root",      "srv",           "usr",           "var",
        "mnt",       "usr/bin", "usr/lib",  "usr/local", "usr/local/bin", "usr/local/lib", "usr/local/share",
        "usr/share", "var/lib", "workspace"};
    return std::find(kThere.begin(), kThere.end(), folder) != kThere.end();
  }

  void add_path(const fs::path& source, const std::string& relative, const std::string& target,
                const spec::Place& place, bool named) {
    struct stat there{};
    os::call(::lstat, source.c_str(), &there).or_throw("look at `{}`", relative);
    const bool folder = S_ISDIR(there.st_mode);
    if (!named && ignore_.ignored(relative, folder)) {
      return;
    }
    if (folder) {
      put({target, source.string(), 0755, 0, {}, "", ProjectFile::Kind::Folder}, place);
      std::vector<fs::path> inside;
      for (const fs::directory_entry& entry : fs::directory_iterator(source)) {
        inside.push_back(entry.path());
      }
      for (const fs::path& path : inside) {
        const std::string leaf = path.filename().string();
        add_path(path, (fs::path(relative) / leaf).lexically_normal().string(), target + "/" + leaf, place, false);
      }
    } else if (S_ISLNK(there.st_mode)) {
      put({target, source.string(), 0777, 0, {}, fs::read_symlink(source).string(), ProjectFile::Kind::Link}, place);
    } else if (S_ISREG(there.st_mode)) {
      const std::uint32_t mode = (there.st_mode & 0111U) != 0 ? 0755 : 0644;
      put({target, source.string(), mode, static_cast<std::uint64_t>(there.st_size), digest_of(source), "",
           ProjectFile::Kind::File},
          place);
    } else {
      throw Error(ErrorKind::Invalid, "{}: `{}` is neither a file, a folder nor a link", place_text(place), relative)
          .add_hint("list it in .slipwayignore");
    }
  }

  void put(ProjectFile file, const spec::Place& place) {
    const auto [at, fresh] = files_.try_emplace(file.path, file);
    if (!fresh && (at->second.kind != file.kind || at->second.sha256 != file.sha256 || at->second.link != file.link)) {
      throw Error(ErrorKind::Conflict, "{}: two different files are mapped to `/{}`", place_text(place), file.path);
    }
  }

  const spec::Spec& spec_;
  spec::IgnoreRules ignore_;
  std::map<std::string, std::string> links_;
  std::map<std::string, ProjectFile> files_;
  std::set<std::string> parents_;
};

}  // namespace

std::vector<ProjectFile> project_files(const spec::Spec& spec, const std::string& suite) {
  Collector collector(spec, suite);
  for (const spec::FileMapping& mapping : spec.files) {
    collector.add(mapping);
  }
  return collector.take();
}

}  // namespace slip::image
