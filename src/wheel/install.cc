#include <algorithm>
#include <set>

#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "wheel/archive.h"
#include "wheel/dist_info.h"
#include "wheel/wheel.h"

namespace slip::wheel {
namespace {

using codec::FileType;
using codec::LayerItem;

constexpr std::int64_t kTime = 315532800;  // 1980-01-01: times in zip archives are local and coarse, so none is kept
// Below this a gzip member of its own costs more than it saves.
constexpr std::uint64_t kSplice = 256;

LayerItem folder_item(const std::string& path) {
  LayerItem item;
  item.entry.path = path;
  item.entry.type = FileType::Directory;
  item.entry.mode = 0755;
  item.entry.mtime = kTime;
  return item;
}

LayerItem file_item(const std::string& path, std::uint64_t size, bool program) {
  LayerItem item;
  item.entry.path = path;
  item.entry.mode = program ? 0755 : 0644;
  item.entry.size = size;
  item.entry.mtime = kTime;
  return item;
}

std::string launcher(const EntryPoint& point, const Target& target) {
  const std::string first = point.object.substr(0, point.object.find('.'));
  return format(
      "#!{}/bin/python\nimport sys\n\nfrom {} import {}\n\nif __name__ == \"__main__\":\n    sys.exit({}())\n",
      target.prefix, point.module, first, point.object);
}

class Installer {
 public:
  Installer(const WheelInput& wheel, const Target& target, store::Store& store, const launch::HostId& id)
      : wheel_(wheel),
        target_(target),
        archive_(open_wheel(wheel)),
        root_(unpack(wheel, store, id) / "root"),
        site_(site_packages(target)) {}

  std::vector<LayerItem> items() {
    for (const codec::ZipEntry& entry : archive_.entries) {
      add_entry(entry);
    }
    for (const EntryPoint& point :
         parse_entry_points(archive_.text(archive_.dist_info + "/entry_points.txt", wheel_.file), wheel_.file)) {
      const std::string path = target_.prefix.substr(1) + "/bin/" + point.name;
      if (!paths_.contains(path)) {
        add_text(path, launcher(point, target_), true);
      }
    }
    add_text(site_ + "/" + archive_.dist_info + "/INSTALLER", "slipway\n", false);
    if (wheel_.requested) {
      add_text(site_ + "/" + archive_.dist_info + "/REQUESTED", "", false);
    }
    add_record();
    add_folders();
    codec::sort_items(items_);
    return std::move(items_);
  }

 private:
  void add_entry(const codec::ZipEntry& entry) {
    const std::string local = entry.name.starts_with(archive_.dist_info + "/")
                                  ? entry.name.substr(archive_.dist_info.size() + 1)
                                  : std::string();
    if (local == "RECORD" || local == "RECORD.jws" || local == "RECORD.p7s" || local == "INSTALLER" ||
        local == "REQUESTED" || local == "direct_url.json") {
      return;  // of this installation, not of the wheel
    }
    if (entry.name.ends_with(".pyc")) {
      return;  // byte code of whoever built the wheel: compile() makes its own from the same sources
    }
    const Place place = place_of(entry.name, archive_, target_, wheel_.file);
    const bool program = place.script || (entry.unix_mode & 0111U) != 0;
    if (place.script && entry.size < (1u << 20)) {
      const std::string text = archive_.text(entry.name, wheel_.file);
      if (text.starts_with("#!python")) {
        const std::size_t end = text.find('\n');
        add_text(place.path,
                 format("#!{}/bin/python", target_.prefix) + (end == std::string::npos ? "" : text.substr(end)), true);
        return;
      }
    }
    LayerItem item = file_item(place.path, entry.size, program);
    if (entry.size > 0) {
      if (!entry.stored && entry.compressed_size >= kSplice) {
        item.content = codec::SplicedContent{wheel_.path, entry.data_offset, entry.compressed_size, entry.crc32,
                                             root_ / entry.name};
      } else {
        item.content = codec::FileContent{root_ / entry.name};
      }
    }
    // What the wheel's own RECORD says was checked when it was unpacked.
    originals_[entry.name] = place.path;
    push(std::move(item));
  }

  void add_text(const std::string& path, std::string text, bool program) {
    LayerItem item = file_item(path, text.size(), program);
    made_[path] = text;
    if (!text.empty()) {
      item.content = codec::InlineContent{std::move(text)};
    }
    push(std::move(item));
  }

  void push(LayerItem item) {
    paths_.insert(item.entry.path);
    items_.push_back(std::move(item));
  }

  [[nodiscard]] std::string relative(const std::string& path) const {
    return std::filesystem::path(path).lexically_relative(site_).string();
  }

  /// @source PyPA recording-installed-packages "The RECORD file"
  void add_record() {
    std::map<std::string, RecordRow> rows;
    const auto add = [&](const std::string& path, std::string hash, std::string size) {
      const std::string name = relative(path);
      rows[name] = {name, std::move(hash), std::move(size)};
    };
    for (const auto& [entry, path] : originals_) {
      add(path, "", "");  // also what the wheel's own RECORD forgot
    }
    for (RecordRow& row : parse_record(archive_.text(archive_.dist_info + "/RECORD", wheel_.file))) {
      const auto moved = originals_.find(row.path);
      if (moved != originals_.end()) {
        add(moved->second, std::move(row.hash), std::move(row.size));
      }
    }
    for (const auto& [path, text] : made_) {
      add(path, "sha256=" + base64url(codec::sha256(text)), std::to_string(text.size()));
    }
    const std::string own = site_ + "/" + archive_.dist_info + "/RECORD";
    add(own, "", "");
    std::string text;
    for (const auto& [path, row] : rows) {
      text += record_line(row);
    }
    LayerItem item = file_item(own, text.size(), false);
    item.content = codec::InlineContent{std::move(text)};
    push(std::move(item));
  }

  void add_folders() {
    std::set<std::string> folders;
    for (const std::string& path : paths_) {
      for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
        folders.insert(path.substr(0, slash));
      }
    }
    for (const std::string& folder : folders) {
      items_.push_back(folder_item(folder));
    }
  }

  const WheelInput& wheel_;
  const Target& target_;
  Archive archive_;
  std::filesystem::path root_;
  std::string site_;
  std::vector<LayerItem> items_;
  std::set<std::string> paths_;
  std::map<std::string, std::string> originals_;  ///< entry → path
  std::map<std::string, std::string> made_;       ///< path → content
};

LayerItem link_item(const std::string& path, const std::string& target) {
  LayerItem item;
  item.entry.path = path;
  item.entry.type = FileType::Symlink;
  item.entry.mode = 0777;
  item.entry.mtime = kTime;
  item.entry.link = target;
  return item;
}

}  // namespace

std::vector<LayerItem> install(const WheelInput& wheel, const Target& target, store::Store& store,
                               const launch::HostId& id) {
  return with_context([&] { return format("install {}", wheel.file); },
                      [&] { return Installer(wheel, target, store, id).items(); });
}

std::vector<LayerItem> venv_skeleton(const Target& target) {
  const std::string prefix = target.prefix.substr(1);
  std::vector<LayerItem> items;
  std::string path;
  for (const std::string_view part : split(prefix, '/')) {
    path += (path.empty() ? "" : "/") + std::string(part);
    items.push_back(folder_item(path));
  }
  for (const std::string& folder :
       {prefix + "/bin", prefix + "/lib", prefix + "/lib/python" + target.python, site_packages(target)}) {
    items.push_back(folder_item(folder));
  }
  const std::string config =
      format("home = /usr/bin\ninclude-system-site-packages = false\nversion = {}\n", target.full_version);
  LayerItem cfg = file_item(prefix + "/pyvenv.cfg", config.size(), false);
  cfg.content = codec::InlineContent{config};
  items.push_back(std::move(cfg));
  items.push_back(link_item(prefix + "/bin/python", "/usr/bin/python" + target.python));
  items.push_back(link_item(prefix + "/bin/python3", "python"));
  items.push_back(link_item(prefix + "/bin/python" + target.python, "python"));
  codec::sort_items(items);
  return items;
}

std::vector<std::string> shared_libraries(const WheelInput& wheel, const Target& target) {
  const Archive archive = open_wheel(wheel);
  std::vector<std::string> paths;
  for (const codec::ZipEntry& entry : archive.entries) {
    const std::filesystem::path name(entry.name);
    const std::string file = name.filename();
    if (name.parent_path().filename() == "lib" && file.starts_with("lib") && file.find(".so") != std::string::npos) {
      paths.push_back(place_of(entry.name, archive, target, wheel.file).path);
    }
  }
  std::ranges::sort(paths);
  return paths;
}

std::vector<std::string> top_level_modules(const WheelInput& wheel) {
  const Archive archive = open_wheel(wheel);
  std::set<std::string> all;
  for (const codec::ZipEntry& entry : archive.entries) {
    const std::string top = entry.name.substr(0, entry.name.find('/'));
    if (top.ends_with(".dist-info") || top.ends_with(".data")) {
      continue;
    }
    if (top == entry.name) {
      const std::size_t dot = top.find('.');
      if (top.ends_with(".py") || top.ends_with(".so")) {
        all.insert(top.substr(0, dot));
      }
    } else if (archive.find(top + "/__init__.py") != nullptr) {
      all.insert(top);
    }
  }
  for (const std::string& module : all) {
    if (normalise(module) == archive.name.name) {
      return {module};
    }
  }
  std::vector<std::string> chosen;
  const std::string listed = archive.text(archive.dist_info + "/top_level.txt", wheel.file);
  for (const std::string_view line : split_words(listed)) {
    if (!line.starts_with('_') && line.find('/') == std::string_view::npos) {
      chosen.emplace_back(line);
    }
  }
  if (chosen.empty()) {
    std::copy_if(all.begin(), all.end(), std::back_inserter(chosen), [](const std::string& m) {
      return !m.starts_with('_') && std::all_of(m.begin(), m.end(), [](char c) {
        return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
      });
    });
  }
  return chosen;
}

std::vector<std::string> required_names(const WheelInput& wheel) {
  const Archive archive = open_wheel(wheel);
  return parse_required_names(archive.text(archive.dist_info + "/METADATA", wheel.file));
}

}  // namespace slip::wheel
