#include "inspect/tree.h"

#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"

namespace slip::inspect {
namespace {

constexpr std::uint64_t kLookLimit = 1u << 20;
constexpr std::uint64_t kKeepLimit = 32u << 20;
constexpr int kMaxLinks = 16;

void remove_below(Tree& tree, const std::string& folder) {
  const std::string prefix = folder + "/";
  auto at = tree.files.lower_bound(prefix);
  while (at != tree.files.end() && at->first.starts_with(prefix)) {
    at = tree.files.erase(at);
  }
}

/// "usr/bin" and "../lib/x" → "usr/lib/x"; nullopt when it leads out.
std::optional<std::string> followed(const std::string& path, const std::string& target) {
  std::vector<std::string> parts;
  const std::string from = target.starts_with('/') ? target : path.substr(0, path.rfind('/') + 1) + target;
  for (const std::string_view part : split(from, '/')) {
    if (part.empty() || part == ".") {
      continue;
    }
    if (part == "..") {
      if (parts.empty()) {
        return std::nullopt;
      }
      parts.pop_back();
    } else {
      parts.emplace_back(part);
    }
  }
  return join(parts, "/");
}

/// Reads what is wanted of one file.
TreeFile read_file(std::size_t layer, const codec::TarEntry& entry, Source& content, const TreeOptions& options) {
  TreeFile file{entry, layer, {}, {}};
  if (entry.type != codec::FileType::Regular) {
    return file;
  }
  const bool keep = options.keep && entry.size <= kKeepLimit && options.keep(entry);
  const bool look = options.look && entry.size <= kLookLimit;
  if (keep || look) {
    BytesSink bytes;
    copy_all(content, bytes);
    if (options.hash) {
      file.sha256 = codec::sha256(bytes.data);
    }
    if (look) {
      options.look(layer, entry, as_text(bytes.data));
    }
    if (keep) {
      file.text = as_text(bytes.data);
    }
  } else if (options.hash) {
    codec::HashSink hash;
    copy_all(content, hash);
    file.sha256 = hash.finish();
  }
  return file;
}

}  // namespace

const TreeFile* Tree::find(const std::string& path) const {
  const auto at = files.find(path);
  return at == files.end() ? nullptr : &at->second;
}

std::string_view Tree::text(const std::string& path) const {
  std::string at = path;
  for (int links = 0; links < kMaxLinks; ++links) {
    const TreeFile* file = find(at);
    if (file == nullptr) {
      return {};
    }
    if (file->entry.type == codec::FileType::HardLink) {
      at = file->entry.link;
    } else if (file->entry.type == codec::FileType::Symlink) {
      const auto next = followed(at, file->entry.link);
      if (!next) {
        return {};
      }
      at = *next;
    } else {
      return file->text;
    }
  }
  return {};
}

void apply(Tree& tree, TreeFile file) {
  const std::string& path = file.entry.path;
  const std::size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? std::string() : path.substr(0, slash);
  const std::string name = slash == std::string::npos ? path : path.substr(slash + 1);
  if (name == ".wh..wh..opq") {
    remove_below(tree, folder);
    return;
  }
  if (name.starts_with(".wh.")) {
    const std::string hidden = (folder.empty() ? "" : folder + "/") + name.substr(4);
    tree.files.erase(hidden);
    remove_below(tree, hidden);
    return;
  }
  if (file.entry.type != codec::FileType::Directory) {
    if (const TreeFile* before = tree.find(path);
        before != nullptr && before->entry.type == codec::FileType::Directory) {
      remove_below(tree, path);
    }
  }
  tree.files.insert_or_assign(path, std::move(file));
}

Tree read_tree(const Subject& subject, const TreeOptions& options, Events& events) {
  Tree tree;
  Task task(events, "Reading", "the image's layers");
  for (std::size_t layer = 0; layer < subject.layers(); ++layer) {
    // Whiteouts speak of lower layers only, wherever they stand in their own.
    std::vector<TreeFile> own;
    subject.read_layer(layer, [&](const codec::TarEntry& entry, Source& content) {
      const std::string name = entry.path.substr(entry.path.rfind('/') + 1);
      TreeFile file = read_file(layer, entry, content, options);
      if (name.starts_with(".wh.")) {
        apply(tree, std::move(file));
      } else {
        own.push_back(std::move(file));
      }
    });
    for (TreeFile& file : own) {
      apply(tree, std::move(file));
    }
    task.progress(layer + 1, subject.layers());
  }
  // A hard link shares everything with the file it names.
  for (auto& [path, file] : tree.files) {
    if (file.entry.type == codec::FileType::HardLink) {
      if (const TreeFile* target = tree.find(file.entry.link)) {
        file.sha256 = target->sha256;
      }
    }
  }
  task.succeed();
  return tree;
}

}  // namespace slip::inspect
