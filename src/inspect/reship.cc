#include "inspect/reship.h"

#include "codec/sha256.h"
#include "core/error.h"
#include "os/file.h"

namespace slip::inspect {
namespace {

namespace fs = std::filesystem;

Digest keep(Source& content, const fs::path& path) {
  os::AtomicFile file(path);
  os::FdSink out(file.fd().get(), path.string());
  codec::HashSink hash(&out);
  copy_all(content, hash);
  file.commit();
  return hash.finish();
}

std::size_t layer_of(const Subject& subject, const char* name) {
  if (const auto layer = subject.find_layer(name)) {
    return *layer;
  }
  throw Error(ErrorKind::Corrupt, "model image `{}` has no layer `{}`", subject.name(), std::string(name))
      .add_hint("only images that `slipway ship` made can be made again");
}

model::Programs programs_of(const Subject& subject, const fs::path& folder) {
  model::Programs programs{{}, {}, {}, subject.model()->serve};
  subject.read_layer(layer_of(subject, "slipway-serve"), [&](const codec::TarEntry& entry, Source& content) {
    if ("/" + entry.path == image::kInitPath) {
      programs.init.path = folder / "slipway-init";
      programs.init.sha256 = keep(content, programs.init.path);
    } else if (entry.path == model::kServePath) {
      programs.serve = folder / "slipway-serve";
      programs.serve_sha256 = keep(content, programs.serve);
    }
  });
  if (programs.serve.empty() || programs.init.sha256 != subject.lock()->init) {
    throw Error(ErrorKind::Corrupt, "the slipway-serve or slipway-init of `{}` is not what its lock and labels name",
                subject.name());
  }
  return programs;
}

/// Writes the files of the model's layer below `folder`; what else there is makes the layer differ, which is found.
void unpack_model(const Subject& subject, const fs::path& folder) {
  subject.read_layer(layer_of(subject, "model"), [&](const codec::TarEntry& entry, Source& content) {
    const fs::path path = fs::path(entry.path).lexically_normal();
    if (path.is_absolute() || path.empty() || *path.begin() == "..") {
      throw Error(ErrorKind::Corrupt, "layer `model` of `{}` leads out of the image", subject.name());
    }
    if (entry.type == codec::FileType::Directory) {
      os::make_dirs(folder / path, 0755);
    } else if (entry.type == codec::FileType::Regular) {
      os::make_dirs((folder / path).parent_path(), 0755);
      keep(content, folder / path);
    }
  });
}

}  // namespace

model::ShipPlan plan_again(const Subject& subject, const fs::path& folder, lock::Context& context) {
  const ServedModel& served = *subject.model();
  if (subject.lock()->wheels.size() != 1) {
    throw Error(ErrorKind::Corrupt, "the lock of model image `{}` names {} wheels, and not the one of TensorFlow",
                subject.name(), subject.lock()->wheels.size());
  }
  unpack_model(subject, folder);
  model::ShipInput input;
  input.models = model::open_versions(folder / std::string(model::kModels).substr(1) / served.name, served.name, 0);
  input.runtime = *subject.lock();
  input.programs = programs_of(subject, folder);
  const auto training = subject.config().labels.find(model::kTrainingLabel);
  input.training = training == subject.config().labels.end() ? std::string() : training->second;
  return model::plan_ship(input, context);
}

}  // namespace slip::inspect
