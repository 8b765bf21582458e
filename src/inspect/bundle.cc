#include "inspect/bundle.h"

#include <algorithm>
#include <map>

#include "codec/sha256.h"
#include "core/count.h"
#include "core/text.h"
#include "inspect/rebuild.h"
#include "inspect/verify.h"
#include "lock/packages.h"
#include "oci/media_types.h"
#include "os/file.h"

namespace slip::inspect {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTitle = "org.opencontainers.image.title";

/// Brings every input into the store: what a build would need, and the wheels that sdists become.
void fetch_all(const lock::Lock& lock, lock::Context& context) {
  lock::fetch_debs(lock.debs, context);
  for (const std::vector<lock::Wheel>* wheels : {&lock.wheels, &lock.build_tools, &lock.tools}) {
    lock::fetch_wheels(*wheels, context);
  }
}

std::map<Digest, std::string> file_names(const lock::Lock& lock) {
  std::map<Digest, std::string> names;
  const auto add = [&](const lock::Artifact& artifact) {
    names[artifact.sha256] = artifact.file.substr(artifact.file.rfind('/') + 1);
  };
  for (const lock::Deb& deb : lock.debs) {
    add(deb.artifact);
  }
  for (const std::vector<lock::Wheel>* wheels : {&lock.wheels, &lock.build_tools, &lock.tools}) {
    for (const lock::Wheel& w : *wheels) {
      add(w.artifact);
    }
  }
  return names;
}

std::vector<oci::LayerSource> input_sources(const lock::Lock& lock, const store::Store& store) {
  std::vector<oci::LayerSource> sources;
  for (const auto& [digest, name] : file_names(lock)) {
    oci::Descriptor descriptor;
    descriptor.media_type =
        name.ends_with(".deb") ? "application/vnd.debian.binary-package" : "application/octet-stream";
    descriptor.digest = digest;
    const fs::path path = store.blob_path(digest);
    descriptor.size = fs::file_size(path);
    descriptor.annotations[kTitle] = name;
    sources.push_back(oci::layer_from_file(std::move(descriptor), {}, path));
  }
  return sources;
}

/// The image with its layers' bytes, from blobs where they are kept and made anew where not.
oci::Image image_of(const Subject& subject, Rebuild& rebuild, const std::vector<image::Layer>& layers) {
  oci::Image image;
  image.manifest = subject.manifest_text();
  image.config = subject.config_text();
  for (std::size_t i = 0; i < subject.layers(); ++i) {
    const oci::Descriptor& descriptor = subject.manifest().layers[i];
    const Digest diff_id = i < subject.config().diff_ids.size() ? subject.config().diff_ids[i] : Digest{};
    if (const fs::path file = subject.blob_file(i); !file.empty()) {
      image.layers.push_back(oci::layer_from_file(descriptor, diff_id, file));
    } else if (i < layers.size() && layers[i].encoded.digest == descriptor.digest) {
      image.layers.push_back(image::layer_source(layers[i], rebuild.engine()));
    } else {
      throw Error(ErrorKind::NotFound, "layer `{}` of `{}` is not in the store", subject.layer_name(i), subject.name())
          .add_hint("build or pull the image again");
    }
  }
  return image;
}

/// The artifact of the inputs in a layout. @throws Error Invalid when it has none
oci::Manifest inputs_in(const oci::Layout& layout, const fs::path& file) {
  for (const oci::Descriptor& entry : layout.index().manifests) {
    if (entry.artifact_type == kInputsType) {
      return oci::parse_manifest(layout.read(entry));
    }
  }
  throw Error(ErrorKind::Invalid, "`{}` is no bundle: it holds no inputs", file.string())
      .add_hint("`slipway bundle FILE` writes one");
}

void take_inputs(const oci::Manifest& inputs, const oci::Layout& layout, lock::Context& context) {
  for (const oci::Descriptor& input : inputs.layers) {
    if (context.store.has_blob(input.digest)) {
      continue;
    }
    // Unpacking the archive has held every blob against its digest.
    context.store.adopt_blob(layout.blob_path(input.digest), input.digest);
  }
}

}  // namespace

BundleResult write_bundle(const Subject& subject, const fs::path& file, const oci::Reference& name,
                          lock::Context& context) {
  Rebuild rebuild(subject, context);
  fetch_all(*subject.lock(), context);
  const std::vector<image::Layer> layers = rebuild.engine().build();
  const oci::Image image = image_of(subject, rebuild, layers);
  std::vector<oci::LayerSource> inputs = input_sources(*subject.lock(), context.store);
  BundleResult result;
  result.inputs = inputs.size();
  oci::Descriptor whole;
  whole.media_type = oci::media::kManifest;
  whole.digest = subject.digest();
  whole.size = subject.manifest_text().size();
  Task task(context.events, "Writing", file.string());
  oci::write_image(image, {oci::Output::Kind::Archive, file, {}}, name,
                   {oci::make_attachment(whole, kInputsType, std::move(inputs))});
  task.succeed();
  result.size = fs::file_size(file);
  return result;
}

image::BuildResult build_bundle(const fs::path& file, const std::string& tag, lock::Context& context) {
  const os::TempDir folder = context.store.temp_dir("bundle-");
  const oci::Layout layout = oci::unpack_archive(file, folder.path());
  take_inputs(inputs_in(layout, file), layout, context);
  const Subject subject = Subject::open("oci:" + folder.path().string(), context);
  std::string name = tag;
  for (const oci::Descriptor& entry : layout.index().manifests) {
    if (const auto at = entry.annotations.find(oci::kImageName); name.empty() && at != entry.annotations.end()) {
      name = at->second;
    }
  }
  Rebuild rebuild(subject, context);
  image::Assembly assembly{rebuild.config(), name.empty() ? subject.title() : name, {}};
  image::BuildResult result = image::assemble(std::move(assembly), rebuild.plan(), rebuild.engine().build(),
                                              rebuild.engine(), rebuild.lock(), context);
  if (result.digest != subject.digest()) {
    throw Error(ErrorKind::Conflict, "the bundle's image is {}, from its inputs came {}", subject.digest().brief(),
                result.digest.brief())
        .add_hint(format("`slipway verify oci-archive:{}` says what differs", file.string()));
  }
  return result;
}

}  // namespace slip::inspect
