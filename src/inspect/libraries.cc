#include "inspect/libraries.h"

#include <algorithm>
#include <map>
#include <optional>
#include <set>

#include "codec/elf.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "os/file.h"

namespace slip::inspect {
namespace {

using codec::FileType;

std::string leaf(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// "libc.so.6", "_pywrap_tfe.so".
bool is_library(const std::string& name) { return name.ends_with(".so") || name.find(".so.") != std::string::npos; }

/// The regular file that a path of the tree leads to, a link beside it followed: libc.so.6 may be one.
const TreeFile* regular(const Tree& tree, const TreeFile& file) {
  const TreeFile* at = &file;
  if (at->entry.type == FileType::Symlink && at->entry.link.find('/') == std::string::npos) {
    const std::string& path = file.entry.path;
    at = tree.find(path.substr(0, path.rfind('/') + 1) + file.entry.link);
  }
  return at != nullptr && at->entry.type == FileType::Regular ? at : nullptr;
}

/// What stripping makes of a file.
struct Slim {
  std::uint64_t size = 0;
  Digest sha256;
};

/// nullopt for what is no ELF file that could be stripped.
std::optional<Slim> stripped(const codec::TarEntry& entry, Source& content, const std::filesystem::path& scratch) {
  const os::AtomicFile copy(scratch / "library");
  os::FdSink out(copy.fd().get(), entry.path);
  copy_all(content, out);
  const os::Fd fd = os::open_read(copy.temp_path());
  const auto read = [&](std::uint64_t offset, std::span<std::uint8_t> into) {
    os::RangeSource source(fd.get(), offset, into.size(), entry.path);
    read_full(source, into);
  };
  try {
    codec::HashSink slim;
    codec::strip_elf(read, entry.size, slim, entry.path);
    return Slim{slim.size(), slim.finish()};
  } catch (const Error&) {
    return std::nullopt;
  }
}

/// What stripping makes of each of these files.
std::map<std::string, Slim> strip_all(const Subject& subject, const Tree& tree, const std::set<std::string>& paths,
                                      const lock::Context& context) {
  std::set<std::size_t> layers;
  for (const std::string& path : paths) {
    layers.insert(tree.files.at(path).layer);
  }
  const os::TempDir scratch = context.store.temp_dir("diff-");
  std::map<std::string, Slim> found;
  for (const std::size_t layer : layers) {
    subject.read_layer(layer, [&](const codec::TarEntry& entry, Source& content) {
      if (paths.contains(entry.path) && tree.files.at(entry.path).layer == layer && entry.type == FileType::Regular) {
        if (const auto slim = stripped(entry, content, scratch.path())) {
          found.insert_or_assign(entry.path, *slim);
        }
      }
    });
  }
  return found;
}

}  // namespace

std::vector<Namesake> namesakes(const Tree& a, const Tree& b) {
  std::set<Digest> contents;
  std::map<std::string, const TreeFile*> by_name;
  for (const auto& [path, file] : a.files) {
    if (file.entry.type == FileType::Regular) {
      contents.insert(file.sha256);
    }
    const std::string name = leaf(path);
    if (is_library(name)) {
      if (const TreeFile* there = regular(a, file)) {
        by_name.emplace(name, there);
      }
    }
  }
  std::vector<Namesake> found;
  for (const auto& [path, file] : b.files) {
    const std::string name = leaf(path);
    if (file.entry.type != FileType::Regular || !is_library(name) || contents.contains(file.sha256)) {
      continue;
    }
    const TreeFile* same_path = a.find(path);
    const TreeFile* before = same_path == nullptr ? nullptr : regular(a, *same_path);
    if (before == nullptr) {
      const auto at = by_name.find(name);
      before = at == by_name.end() ? nullptr : at->second;
    }
    if (before != nullptr) {
      found.push_back({name,
                       {before->entry.path, before->entry.size, before->sha256, {}},
                       {path, file.entry.size, file.sha256, {}},
                       Namesake::Relation::Build});
    }
  }
  std::ranges::stable_sort(found, [](const Namesake& x, const Namesake& y) { return x.after.size > y.after.size; });
  return found;
}

void relate(std::vector<Namesake>& libraries, const Subject& a, const Tree& tree_a, const Subject& b,
            const Tree& tree_b, const lock::Context& context) {
  std::set<std::string> larger;
  for (const Namesake& library : libraries) {
    if (library.after.size < library.before.size) {
      larger.insert(library.before.path);
    }
  }
  const std::map<std::string, Slim> slim_a = strip_all(a, tree_a, larger, context);
  std::set<std::string> unsure;
  for (Namesake& library : libraries) {
    const auto slim = slim_a.find(library.before.path);
    if (slim == slim_a.end() || slim->second.size == library.before.size) {
      continue;
    }
    if (slim->second.sha256 == library.after.sha256) {
      library.relation = Namesake::Relation::Stripped;
    } else if (library.after.size < library.before.size) {
      unsure.insert(library.after.path);
    }
  }
  const std::map<std::string, Slim> slim_b = strip_all(b, tree_b, unsure, context);
  for (Namesake& library : libraries) {
    const auto slim = slim_b.find(library.after.path);
    if (slim != slim_b.end() && slim->second.size == library.after.size) {
      library.relation = Namesake::Relation::StrippedBuild;
    }
  }
}

}  // namespace slip::inspect
