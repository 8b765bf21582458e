#include "deb/normalise.h"

#include <fnmatch.h>

#include <array>
#include <string>
#include <unordered_map>

#include "core/error.h"
#include "deb/java_keystore.h"
#include "os/file.h"

namespace slip::deb {
namespace {

using codec::FileType;
using codec::LayerItem;

struct Row {
  const char* pattern;  ///< of fnmatch(3); `*` stays within one folder unless the pattern ends in `/**`
  Rule rule;
  const char* why;
};

// The first row that matches decides. Every path that differed between two runs (other clock, host name, process ids)
// or between runs as root and as a user stands here, and nothing else: a new difference must fail a test.
constexpr std::array kTable = {
    Row{"etc/ssh/ssh_host_*_key", Rule::Drop, "random; a workspace makes its own at first start"},
    Row{"etc/ssh/ssh_host_*_key.pub", Rule::Drop, "as the keys"},
    Row{"etc/machine-id", Rule::Empty, "random; an empty file is filled by whoever boots"},
    Row{"var/lib/dbus/machine-id", Rule::Drop, "random"},
    Row{"etc/ssl/private/ssl-cert-snakeoil.key", Rule::Drop, "random; a secret must not be shared by an image"},
    Row{"etc/ssl/certs/ssl-cert-snakeoil.pem", Rule::Drop, "random, goes with its key"},
    Row{"etc/ssl/certs/java/cacerts", Rule::Keystore, "a key store full of the current time"},
    Row{"var/cache/man/**", Rule::Drop, "an index with times in it; the folder stays"},
    Row{"var/cache/fontconfig/**", Rule::Drop, "random identifiers and folder times"},
    Row{"usr/share/fonts/.uuid", Rule::Drop, "random"},
    Row{"usr/share/fonts/*/.uuid", Rule::Drop, "random"},
    Row{"usr/share/fonts/*/*/.uuid", Rule::Drop, "random"},
    Row{"usr/local/share/fonts/.uuid", Rule::Drop, "random"},
    Row{"var/cache/ldconfig/aux-cache", Rule::Drop, "inodes and times; /etc/ld.so.cache itself is stable"},
    Row{"var/cache/debconf/*-old", Rule::Drop, "history of the run"},
    Row{"var/log/dpkg.log", Rule::Drop, "clock"},
    Row{"var/log/alternatives.log", Rule::Drop, "clock"},
    Row{"var/log/fontconfig.log", Rule::Drop, "clock"},
    Row{"var/log/bootstrap.log", Rule::Drop, "clock"},
    Row{"var/lib/texmf/web2c/*.log", Rule::Drop, "clock"},
    Row{"var/lib/texmf/web2c/*/*.log", Rule::Drop, "clock"},
    Row{"var/log/apt/**", Rule::Drop, "clock"},
    Row{"var/log/wtmp", Rule::Empty, "log of logins"},
    Row{"var/log/btmp", Rule::Empty, "log of logins"},
    Row{"var/log/lastlog", Rule::Empty, "log of logins"},
    Row{"var/log/faillog", Rule::Empty, "log of logins"},
    Row{"var/lib/dpkg/status-old", Rule::Drop, "history of the run"},
    Row{"var/lib/dpkg/diversions-old", Rule::Drop, "history of the run"},
    Row{"var/lib/dpkg/statoverride-old", Rule::Drop, "history of the run"},
    Row{"var/lib/dpkg/lock", Rule::Drop, "state of the run"},
    Row{"var/lib/dpkg/lock-frontend", Rule::Drop, "state of the run"},
    Row{"var/lib/dpkg/triggers/Lock", Rule::Drop, "state of the run"},
    Row{"var/lib/dpkg/tmp.ci", Rule::Drop, "state of the run"},
    Row{"var/lib/dpkg/tmp.ci/**", Rule::Drop, "state of the run"},
    Row{"etc/passwd-", Rule::Drop, "history of the run"},
    Row{"etc/group-", Rule::Drop, "history of the run"},
    Row{"etc/shadow-", Rule::Drop, "history of the run"},
    Row{"etc/gshadow-", Rule::Drop, "history of the run"},
    Row{"etc/subuid-", Rule::Drop, "history of the run"},
    Row{"etc/subgid-", Rule::Drop, "history of the run"},
    Row{"etc/.pwd.lock", Rule::Drop, "state of the run"},
    Row{"usr/sbin/policy-rc.d", Rule::Drop, "ours, for the time of the run"},
    Row{"var/lib/mysql/**", Rule::Refuse, "a data base made at install time"},
    Row{"var/lib/postgresql/*/*/**", Rule::Refuse, "a data base made at install time"},
};

bool matches(const Row& row, const std::string& path) {
  const std::string_view pattern = row.pattern;
  if (pattern.ends_with("/**")) {
    // The folder itself is not meant, everything below it is.
    const std::string folder(pattern.substr(0, pattern.size() - 3));
    for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
      if (::fnmatch(folder.c_str(), path.substr(0, slash).c_str(), FNM_PATHNAME) == 0) {
        return true;
      }
    }
    return false;
  }
  return ::fnmatch(row.pattern, path.c_str(), FNM_PATHNAME) == 0;
}

const Row* row_for(const std::string& path) {
  for (const Row& row : kTable) {
    if (matches(row, path)) {
      return &row;
    }
  }
  return nullptr;
}

/// Hash links of certificates that were dropped would dangle.
bool is_link_to_dropped(const codec::TarEntry& entry) {
  return entry.type == FileType::Symlink && entry.path.starts_with("etc/ssl/certs/") &&
         entry.link == "ssl-cert-snakeoil.pem";
}

std::string whiteout_path(const std::string& path) {
  const std::size_t slash = path.rfind('/');
  return slash == std::string::npos ? ".wh." + path : path.substr(0, slash + 1) + ".wh." + path.substr(slash + 1);
}

LayerItem whiteout(std::string path) {
  LayerItem item;
  item.entry.path = std::move(path);
  item.entry.mode = 0;
  return item;
}

LayerItem item_of(const launch::Sandbox::Change& change, Rule rule) {
  LayerItem item{change.entry, codec::NoContent{}};
  if (item.entry.type == FileType::Fifo) {
    throw Error(ErrorKind::Unsupported, "a maintainer script left the fifo `/{}`", item.entry.path);
  }
  if (item.entry.type != FileType::Regular) {
    return item;
  }
  item.entry.mode &= ~06000U;
  if (rule == Rule::Empty) {
    item.entry.size = 0;
  } else if (rule == Rule::Keystore) {
    std::string bytes = normalised_keystore(os::read_file(change.content), "/" + item.entry.path);
    item.entry.size = bytes.size();
    item.content = codec::InlineContent{std::move(bytes)};
  } else if (item.entry.size > 0) {
    item.content = codec::FileContent{change.content};
  }
  return item;
}

using Shipped = std::unordered_map<std::string_view, const LayerItem*>;

Shipped shipped_by(std::span<const Unpacked> packages) {
  Shipped shipped;
  for (const Unpacked& package : packages) {
    for (const LayerItem& item : package.items) {
      shipped.emplace(item.entry.path, &item);
    }
  }
  return shipped;
}

bool same_bytes(const codec::Content& a, const codec::Content& b) {
  const auto* left = std::get_if<codec::FileContent>(&a);
  const auto* right = std::get_if<codec::FileContent>(&b);
  if (left == nullptr || right == nullptr) {
    return left == nullptr && right == nullptr;
  }
  const os::Mapping one(left->path);
  const os::Mapping two(right->path);
  return as_text(one.bytes()) == as_text(two.bytes());
}

bool is_as_shipped(const LayerItem& item, const Shipped& shipped) {
  const auto known = shipped.find(item.entry.path);
  if (known == shipped.end()) {
    return false;
  }
  const codec::TarEntry& a = item.entry;
  const codec::TarEntry& b = known->second->entry;
  return a.type == b.type && (a.mode == b.mode || a.type == FileType::Symlink) && a.uid == b.uid && a.gid == b.gid &&
         a.link == b.link && a.size == b.size && a.xattrs == b.xattrs &&
         same_bytes(item.content, known->second->content);
}

}  // namespace

Rule rule_for(std::string_view path) {
  const Row* row = row_for(std::string(path));
  return row == nullptr ? Rule::Keep : row->rule;
}

std::vector<LayerItem> normalised(const std::vector<launch::Sandbox::Change>& changes,
                                  std::span<const Unpacked> packages) {
  const Shipped shipped = shipped_by(packages);
  using Kind = launch::Sandbox::Change::Kind;
  std::vector<LayerItem> items;
  for (const launch::Sandbox::Change& change : changes) {
    const std::string& path = change.entry.path;
    const Row* row = row_for(path);
    const Rule rule = row == nullptr ? Rule::Keep : row->rule;
    if (change.kind == Kind::Removed) {
      items.push_back(whiteout(whiteout_path(path)));
      continue;
    }
    if (rule == Rule::Refuse) {
      Error error(ErrorKind::Unsupported, "a package initialises data at install time: `/{}`", path);
      error.add_cause(row->why);
      error.add_hint("leave the package out of `apt` and start it in the workspace instead");
      throw error;
    }
    if (rule == Rule::Drop || is_link_to_dropped(change.entry)) {
      continue;
    }
    if (change.kind == Kind::Replaced) {
      items.push_back(whiteout(path + "/.wh..wh..opq"));
    }
    LayerItem item = item_of(change, rule);
    if (change.kind == Kind::Replaced || !is_as_shipped(item, shipped)) {
      items.push_back(std::move(item));
    }
  }
  codec::sort_items(items);
  return items;
}

}  // namespace slip::deb
