#include "inspect/rebuild.h"

#include <algorithm>

#include "codec/sha256.h"
#include "core/error.h"
#include "image/build.h"
#include "inspect/reship.h"

namespace slip::inspect {
namespace {

namespace fs = std::filesystem;

/// Writes the content to a new file of `folder`. @return its path and digest
std::pair<fs::path, Digest> keep(Source& content, const fs::path& folder, std::size_t number) {
  const fs::path path = folder / std::to_string(number);
  os::AtomicFile file(path);
  os::FdSink out(file.fd().get(), path.string());
  codec::HashSink hash(&out);
  copy_all(content, hash);
  file.commit();
  return {path, hash.finish()};
}

image::InitProgram init_of(const Subject& subject, const fs::path& folder) {
  image::InitProgram init{{}, subject.lock()->init};
  if (const auto layer = subject.find_layer("slipway-init")) {
    subject.read_layer(*layer, [&](const codec::TarEntry& entry, Source& content) {
      if ("/" + entry.path == image::kInitPath) {
        const auto [path, sha256] = keep(content, folder, 0);
        if (sha256 != init.sha256) {
          throw Error(ErrorKind::Corrupt, "the image's slipway-init is {}, its lock names {}", sha256.brief(),
                      init.sha256.brief());
        }
        init.path = path;
      }
    });
  }
  return init;
}

std::vector<image::ProjectFile> files_of(const Subject& subject, const fs::path& folder) {
  std::vector<image::ProjectFile> files;
  const auto layer = subject.find_layer("files");
  if (!layer || subject.layer_kind(*layer) != "files") {
    return files;
  }
  subject.read_layer(*layer, [&](const codec::TarEntry& entry, Source& content) {
    image::ProjectFile file{entry.path, "", entry.mode, entry.size, {}, entry.link, image::ProjectFile::Kind::File};
    if (entry.type == codec::FileType::Directory) {
      file.kind = image::ProjectFile::Kind::Folder;
    } else if (entry.type == codec::FileType::Symlink) {
      file.kind = image::ProjectFile::Kind::Link;
    } else {
      const auto [path, sha256] = keep(content, folder, files.size() + 1);
      file.source = path.string();
      file.sha256 = sha256;
    }
    files.push_back(std::move(file));
  });
  std::ranges::sort(files, {}, &image::ProjectFile::path);
  return files;
}

class Content final : public Source {
 public:
  explicit Content(const codec::LayerItem& item) {
    if (const auto* text = std::get_if<codec::InlineContent>(&item.content)) {
      memory_.emplace(as_bytes(text->bytes));
    } else if (const auto* file = std::get_if<codec::FileContent>(&item.content)) {
      open(file->path);
    } else if (const auto* spliced = std::get_if<codec::SplicedContent>(&item.content)) {
      open(spliced->plain);
    }
  }
  std::size_t read(std::span<std::uint8_t> into) override {
    return memory_ ? memory_->read(into) : file_ ? file_->read(into) : 0;
  }

 private:
  void open(const fs::path& path) {
    fd_ = os::open_read(path);
    file_.emplace(fd_.get(), path.string());
  }
  std::optional<MemorySource> memory_;
  os::Fd fd_;
  std::optional<os::FdSource> file_;
};

}  // namespace

Rebuild::Rebuild(const Subject& subject, lock::Context& context) : folder_(context.store.temp_dir("rebuild-")) {
  if (!subject.lock() || (!subject.spec() && !subject.model())) {
    throw Error(ErrorKind::NotFound, "`{}` carries no lock, so nobody can say what it is made of", subject.name())
        .add_hint("only images that slipway built from a lock can be made again");
  }
  if (subject.spec()) {
    lock_ = *subject.lock();
    plan_ =
        image::plan_layers(*subject.spec(), lock_, init_of(subject, folder_.path()), files_of(subject, folder_.path()));
    config_ = image::image_config(*subject.spec(), lock_);
  } else {
    model::ShipPlan ship = plan_again(subject, folder_.path(), context);
    lock_ = std::move(ship.lock);
    plan_ = std::move(ship.layers);
    config_ = std::move(ship.config);
  }
  for (const image::LayerPlan& layer : plan_) {
    if (std::holds_alternative<image::FilesRecipe>(layer.recipe) ||
        std::holds_alternative<image::ProgramsRecipe>(layer.recipe)) {
      taken_.push_back(layer.name);
    }
  }
  engine_ = std::make_unique<image::Engine>(lock_, plan_, context);
}

Rebuild::~Rebuild() = default;

void Rebuild::read_layer(std::size_t layer, const Subject::Each& each) {
  if (layer >= plan_.size()) {
    throw Error(ErrorKind::Corrupt, "the image has more layers than its lock gives");
  }
  for (const codec::LayerItem& item : engine_->items(layer)) {
    Content content(item);
    each(item.entry, content);
  }
}

}  // namespace slip::inspect
