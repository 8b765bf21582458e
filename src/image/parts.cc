#include "image/parts.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <map>
#include <optional>
#include <set>

#include "codec/compress.h"
#include "codec/elf.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "image/system.h"
#include "os/file.h"
#include "wheel/archive.h"
#include "wheel/dist_info.h"

namespace slip::image {
namespace {

using codec::FileType;
using codec::LayerItem;

void add_parents(const std::string& path, std::int64_t epoch, std::set<std::string>& made,
                 std::vector<LayerItem>& items) {
  for (std::size_t slash = path.find('/'); slash != std::string::npos; slash = path.find('/', slash + 1)) {
    if (made.insert(path.substr(0, slash)).second) {
      LayerItem folder;
      folder.entry.path = path.substr(0, slash);
      folder.entry.type = FileType::Directory;
      folder.entry.mode = 0755;
      folder.entry.mtime = epoch;
      items.push_back(std::move(folder));
    }
  }
}

/// A new file of a scratch folder: written once, then given to whoever runs it.
class ScratchFile {
 public:
  explicit ScratchFile(const std::filesystem::path& scratch) : path_(scratch / format("file-{}", ++count_)) {
    fd_ = os::Fd(static_cast<int>(os::call([&] {
                                    return ::open(path_.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
                                  }).or_throw("write `{}`", path_.string())));
  }

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  [[nodiscard]] os::FdSink sink() const { return {fd_.get(), path_.string()}; }
  [[nodiscard]] std::uint64_t size() const { return os::file_size(fd_, path_.string()); }
  [[nodiscard]] codec::ReadAt reader() const {
    return [this](std::uint64_t offset, std::span<std::uint8_t> into) {
      os::RangeSource source(fd_.get(), offset, into.size(), path_.string());
      read_full(source, into);
    };
  }
  [[nodiscard]] bool is_elf() const {
    std::array<std::uint8_t, 4> start{};
    if (size() < start.size()) {
      return false;
    }
    reader()(0, start);
    return codec::is_elf(start);
  }
  /// Root's files belong to the id behind sandboxes.
  void give(std::uint32_t mode, const lock::Context& context) const {
    os::call(::fchmod, fd_.get(), static_cast<mode_t>(mode)).or_throw("set the mode of `{}`", path_.string());
    if (::geteuid() == 0) {
      os::call(::fchown, fd_.get(), static_cast<uid_t>(context.id.uid), static_cast<gid_t>(context.id.gid))
          .or_throw("give `{}` to the sandbox", path_.string());
    }
  }

 private:
  static inline std::atomic<std::size_t> count_{0};
  std::filesystem::path path_;
  os::Fd fd_;
};

/// The file without what only linkers and debuggers read; the whole one goes.
ScratchFile stripped(const ScratchFile& whole, const std::string& name, const std::filesystem::path& scratch) {
  ScratchFile slim(scratch);
  os::FdSink sink = slim.sink();
  codec::strip_elf(whole.reader(), whole.size(), sink, name);
  std::filesystem::remove(whole.path());
  return slim;
}

LayerItem file_item(const std::string& path, const ScratchFile& file, std::uint32_t mode, std::int64_t epoch) {
  LayerItem item;
  item.entry = {path, FileType::Regular, mode, 0, 0, file.size(), epoch, "", 0, 0, {}};
  if (item.entry.size > 0) {
    item.content = codec::FileContent{file.path()};
  }
  return item;
}

/// A host file's bytes in a new file; its digest must be `sha256`.
void copy_checked(const std::string& source, const Digest& sha256, const ScratchFile& to) {
  const os::Fd from = os::open_read(source);
  os::FdSource in(from.get(), source);
  os::FdSink out = to.sink();
  codec::HashSink hash(&out);
  copy_all(in, hash);
  if (hash.finish() != sha256) {
    throw Error(ErrorKind::Conflict, "`{}` was changed while the image was built", source)
        .add_hint("run the command again");
  }
}

/// One entry of a wheel, checked against its CRC-32 and the wheel's RECORD.
void extract(const wheel::Archive& archive, const codec::ZipEntry& entry,
             const std::map<std::string, std::string>& record, const std::string& wheel, const ScratchFile& to) {
  os::FdSink out = to.sink();
  codec::HashSink hash(&out);
  if (entry.stored) {
    codec::unpack_zip_entry(archive.packed(entry, wheel), entry, hash, wheel);
  } else {
    // Read, not mapped: half a gigabyte of library must not become resident.
    os::RangeSource packed(archive.file.get(), entry.data_offset, entry.compressed_size, wheel);
    codec::inflate_exact(packed, entry.size, entry.crc32, hash, wheel + ":" + entry.name);
  }
  const auto wanted = record.find(entry.name);
  if (wanted != record.end() && wheel::base64url(hash.finish()) != wanted->second) {
    throw Error(ErrorKind::Corrupt, "`{}` of {} differs from what its RECORD says", entry.name, wheel);
  }
}

std::map<std::string, std::string> hashes_of(std::string_view record) {
  std::map<std::string, std::string> hashes;
  for (const wheel::RecordRow& row : wheel::parse_record(record)) {
    if (row.hash.starts_with("sha256=")) {
      hashes[row.path] = row.hash.substr(7, row.hash.find_last_not_of('=') - 6);
    }
  }
  return hashes;
}

}  // namespace

std::filesystem::path copied(const std::string& source, const Digest& sha256, std::uint32_t mode,
                             const std::filesystem::path& scratch, const lock::Context& context) {
  const ScratchFile target(scratch);
  copy_checked(source, sha256, target);
  target.give(mode, context);
  return target.path();
}

std::vector<LayerItem> picked_items(const PickRecipe& recipe, const std::vector<deb::Unpacked>& packages) {
  std::vector<LayerItem> items = deb::skeleton(recipe.suite);
  std::set<std::string> made;
  for (const LayerItem& item : items) {
    made.insert(item.entry.path);
  }
  std::set<std::string> wanted(recipe.paths.begin(), recipe.paths.end());
  for (const deb::Unpacked& package : packages) {
    for (const LayerItem& item : package.items) {
      if (wanted.erase(item.entry.path) > 0) {
        add_parents(item.entry.path, recipe.epoch, made, items);
        items.push_back(item);
      }
    }
  }
  if (!wanted.empty()) {
    throw Error(ErrorKind::NotFound, "none of the locked packages ships `/{}`", *wanted.begin());
  }
  for (LayerItem& item : texts_items({recipe.epoch, recipe.texts})) {
    if (item.entry.type != FileType::Directory || made.insert(item.entry.path).second) {
      items.push_back(std::move(item));
    }
  }
  codec::sort_items(items);
  return items;
}

std::vector<LayerItem> extracted_items(const ExtractRecipe& recipe, const std::filesystem::path& wheel,
                                       const std::filesystem::path& scratch, const lock::Context& context) {
  const wheel::WheelInput input{wheel, recipe.wheel.artifact.file, recipe.wheel.artifact.sha256, false};
  const wheel::Archive archive = wheel::open_wheel(input);
  const auto record = hashes_of(archive.text(archive.dist_info + "/RECORD", input.file));
  std::vector<LayerItem> items;
  std::set<std::string> made;
  for (const auto& [path, name] : recipe.files) {
    const codec::ZipEntry* entry = archive.find(name);
    if (entry == nullptr) {
      throw Error(ErrorKind::NotFound, "{} holds no `{}`", input.file, name);
    }
    std::optional<Task> task;  // licences need not be told of
    if (entry->size > (1u << 20)) {
      task.emplace(context.events, "Unpacking", name);
    }
    ScratchFile file(scratch);
    extract(archive, *entry, record, input.file, file);
    if (file.is_elf()) {
      file = stripped(file, name, scratch);
    }
    file.give(0644, context);
    add_parents(path, recipe.epoch, made, items);
    items.push_back(file_item(path, file, 0644, recipe.epoch));
    if (task) {
      task->succeed();
    }
  }
  codec::sort_items(items);
  return items;
}

std::vector<LayerItem> program_items(const ProgramsRecipe& recipe, const std::filesystem::path& scratch,
                                     const lock::Context& context) {
  std::vector<LayerItem> items = texts_items({recipe.epoch, recipe.texts});
  std::set<std::string> made;
  for (const LayerItem& item : items) {
    made.insert(item.entry.path);
  }
  for (const ProgramsRecipe::Program& program : recipe.programs) {
    ScratchFile file(scratch);
    copy_checked(program.source, program.sha256, file);
    if (program.strip) {
      file = stripped(file, program.source, scratch);
    }
    file.give(0755, context);
    add_parents(program.path, recipe.epoch, made, items);
    items.push_back(file_item(program.path, file, 0755, recipe.epoch));
  }
  codec::sort_items(items);
  return items;
}

}  // namespace slip::image
