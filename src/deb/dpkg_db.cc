#include "deb/dpkg_db.h"

#include <algorithm>
#include <array>
#include <map>
#include <set>

#include "core/error.h"
#include "core/text.h"
#include "deb/control.h"

namespace slip::deb {
namespace {

using codec::FileType;
using codec::LayerItem;

constexpr std::string_view kRoot = "var/lib/dpkg";

bool is_program(std::string_view control_file) {
  static const std::set<std::string_view> programs = {"preinst", "postinst", "prerm", "postrm", "config"};
  return programs.contains(control_file);
}

LayerItem folder(std::string path, std::int64_t mtime) {
  LayerItem item;
  item.entry.path = std::move(path);
  item.entry.type = FileType::Directory;
  item.entry.mode = 0755;
  item.entry.mtime = mtime;
  return item;
}

LayerItem file(std::string path, std::string text, std::int64_t mtime, std::uint32_t mode = 0644) {
  LayerItem item;
  item.entry.path = std::move(path);
  item.entry.mode = mode;
  item.entry.mtime = mtime;
  item.entry.size = text.size();
  item.content = codec::InlineContent{std::move(text)};
  return item;
}

/// When the newest thing in the package was made: a time that belongs to the package, not to this build.
std::int64_t newest_time(const Unpacked& package) {
  std::int64_t newest = 0;
  for (const LayerItem& item : package.items) {
    newest = std::max(newest, item.entry.mtime);
  }
  return newest;
}

/// Listeners of triggers: the contents of var/lib/dpkg/triggers.
class Triggers {
 public:
  void add(const Unpacked& package) {
    const std::string* text = package.control_file("triggers");
    if (text == nullptr) {
      return;
    }
    for (std::string_view line : split(*text, '\n')) {
      line = line.substr(0, line.find('#'));
      const std::vector<std::string_view> words = split_words(line);
      if (words.size() != 2 || !words[0].starts_with("interest")) {
        continue;
      }
      const std::string listener = info_name(package) + (words[0] == "interest-noawait" ? "/noawait" : "");
      if (words[1].starts_with('/')) {
        files_ += format("{} {}\n", words[1], listener);
      } else if (words[1].find('/') == std::string_view::npos && words[1] != "File" && words[1] != "Unincorp" &&
                 words[1] != "Lock") {
        named_[std::string(words[1])] += listener + "\n";
      } else {
        throw Error(ErrorKind::Invalid, "`{}` names a trigger `{}`", package.name(), printable(words[1]));
      }
    }
  }

  void write(std::vector<LayerItem>& items, std::int64_t mtime) const {
    const std::string at = std::string(kRoot) + "/triggers/";
    if (!files_.empty()) {
      items.push_back(file(at + "File", files_, mtime));
    }
    for (const auto& [name, listeners] : named_) {
      items.push_back(file(at + name, listeners, mtime));
    }
  }

 private:
  std::string files_;
  std::map<std::string, std::string> named_;
};

void add_info(const Unpacked& package, std::vector<LayerItem>& items) {
  const std::string stem = std::string(kRoot) + "/info/" + info_name(package) + ".";
  const std::int64_t mtime = newest_time(package);
  std::string list;
  for (const std::string& path : package.shipped) {
    list += path + "\n";
  }
  items.push_back(file(stem + "list", std::move(list), mtime));
  for (const auto& [name, text] : package.control_files) {
    items.push_back(file(stem + name, text, mtime, is_program(name) ? 0755 : 0644));
  }
}

}  // namespace

std::string info_name(const Unpacked& package) {
  return package.field("Multi-Arch") == "same" ? package.name() + ":" + package.field("Architecture") : package.name();
}

std::string status_paragraph(const Unpacked& package) {
  std::string text = "Package: " + package.name() + "\nStatus: install ok unpacked\n";
  ControlReader reader(package.control_text, package.name());
  Paragraph paragraph;
  reader.next(paragraph);
  for (const auto& [name, value] : paragraph.fields()) {
    const std::string lower = to_lower(name);
    if (lower != "package" && lower != "status" && lower != "conffiles") {
      text += std::string(name) + ":" + (value.starts_with('\n') ? "" : " ") + std::string(value) + "\n";
    }
  }
  if (!package.conffiles.empty()) {
    text += "Conffiles:\n";
    for (const auto& [path, md5] : package.conffiles) {
      text += format(" {} {}\n", path, md5);
    }
  }
  return text;
}

std::vector<LayerItem> dpkg_database(std::span<const Unpacked> packages) {
  std::vector<LayerItem> items;
  std::int64_t newest = 0;
  std::string status;
  Triggers triggers;
  for (const Unpacked& package : packages) {
    newest = std::max(newest, newest_time(package));
    status += status_paragraph(package) + "\n";
    triggers.add(package);
    add_info(package, items);
  }
  const std::string root(kRoot);
  for (const char* parent : {"var", "var/lib"}) {
    items.push_back(folder(parent, newest));
  }
  items.push_back(folder(root, newest));
  for (const char* name : {"info", "updates", "triggers", "parts", "alternatives"}) {
    items.push_back(folder(root + "/" + name, newest));
  }
  items.push_back(file(root + "/status", std::move(status), newest));
  for (const char* name : {"available", "diversions", "statoverride"}) {
    items.push_back(file(root + "/" + name, "", newest));
  }
  items.push_back(file(root + "/info/format", "1\n", newest));
  triggers.write(items, newest);
  codec::sort_items(items);
  return items;
}

}  // namespace slip::deb
