#include "remotes.h"

#include <algorithm>

#include "core/error.h"
#include "core/suggest.h"
#include "core/text.h"
#include "image/pulled.h"
#include "os/space.h"
#include "registry/pull.h"
#include "registry/signature.h"

namespace slip::cli {
namespace {

/// The keys of which one must have signed; empty: no signature is asked for.
std::vector<registry::PublicKey> keys_for(Session& s, const oci::Reference& from, const std::string& verify_key) {
  std::vector<registry::PublicKey> keys;
  if (!verify_key.empty()) {
    keys.push_back(registry::PublicKey::load(verify_key));
    return keys;
  }
  const auto known = s.config().registries.find(from.registry);
  if (known == s.config().registries.end() || !known->second.require_signature) {
    return keys;
  }
  for (const std::string& file : known->second.trusted_keys) {
    keys.push_back(registry::PublicKey::load(file));
  }
  if (keys.empty()) {
    throw Error(ErrorKind::Invalid, "config.toml requires signatures of `{}`, and names no trusted_keys", from.registry)
        .add_hint(format("add to [registries.\"{}\"]: trusted_keys = [\"/etc/slipway/team.pub\"]", from.registry));
  }
  return keys;
}

/// Refuses before anything is downloaded what surely does not fit. A layer is kept as it came and unpacked, and
/// unpacked it is hardly ever smaller.
void require_space(Session& s, const oci::Reference& from, const registry::Resolved& image) {
  const std::uint64_t least = 2 * registry::missing_bytes(image, s.store());
  const std::filesystem::path& store = s.config().dirs.store;
  const auto free = os::free_bytes(store);
  if (free && *free < least) {
    throw Error(ErrorKind::NoSpace, "`{}` needs {} or more in `{}`, where {} are free", from.text(), human_size(least),
                store.string(), human_size(*free))
        .add_hint("`slipway gc` removes what nothing needs; `store` in config.toml names another disk");
  }
}

/// The root of a stored image, unpacked again from its blobs where it is gone.
std::filesystem::path root_of(Session& s, const std::string& reference, const Digest& digest,
                              const oci::Manifest& manifest, const oci::ImageConfig& config) {
  if (const auto note = image::image_note(s.store(), digest)) {
    if (const auto tree = s.store().find_tree(note->root)) {
      return *tree;
    }
  }
  for (const oci::Descriptor& layer : manifest.layers) {
    if (!s.store().has_blob(layer.digest)) {
      throw Error(ErrorKind::NotFound, "image `{}` has no unpacked files in the store any more", reference)
          .add_hint("run `slipway build` in its project, or `slipway pull` it");
    }
  }
  image::PulledImage image(digest, manifest, config, s.context());
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    image.unpack_layer(i);
  }
  return image.finish();
}

}  // namespace

std::unique_ptr<registry::Remote> connect(Session& s, const oci::Reference& reference) {
  if (reference.registry.empty()) {
    throw Error(ErrorKind::Usage, "`{}` names no registry", reference.text())
        .add_hint(format("write the registry before it: registry.example.com/{}", reference.text()));
  }
  const std::string host = reference.registry;
  const std::string repository = reference.repository;
  return std::make_unique<registry::Remote>(
      registry::access_of(s.config(), host), s.http_options(),
      [host, repository] { return registry::find_credential(registry::credential_files(), host, repository); },
      s.events());
}

PullAnswer pull_image(Session& s, const oci::Reference& from, const std::string& verify_key) {
  const auto remote = connect(s, from);
  const std::vector<registry::PublicKey> keys = keys_for(s, from, verify_key);  // before anything is asked
  const registry::Resolved image = registry::resolve(*remote, from);
  PullAnswer answer;
  if (!keys.empty()) {
    std::vector<Digest> digests = {image.named};
    if (image.digest != image.named) {
      digests.push_back(image.digest);
    }
    answer.signed_by = registry::verify_image(*remote, from.repository, digests, keys).name();
  }
  answer.digest = image.digest;
  image::PulledImage pulled(image.digest, oci::parse_manifest(image.manifest), oci::parse_image_config(image.config),
                            s.context());
  answer.unchanged = s.store().resolve(from.text()) == image.digest && pulled.is_unpacked();
  if (!pulled.is_unpacked()) {
    require_space(s, from, image);
    answer.downloaded =
        registry::fetch_layers(*remote, from, image, s.store(), [&](std::size_t i) { pulled.unpack_layer(i); });
    pulled.finish();
  }
  s.store().set_tag(from.text(), image.digest);
  return answer;
}

Runnable runnable_image(Session& s, const std::string& text, bool offline) {
  const oci::Reference reference = oci::Reference::parse(text);
  Runnable result;
  result.reference = reference.text();
  if (!s.store().resolve(result.reference) && !reference.registry.empty() && !offline) {
    const PullAnswer pulled = pull_image(s, reference, "");
    if (!pulled.signed_by.empty()) {
      s.say(format("Verified the signature of {}", pulled.signed_by));
    }
    s.say(format("Pulled {}", result.reference));
  }
  result.digest = require_image(s, result.reference);
  const oci::Manifest manifest = oci::parse_manifest(s.store().read_blob(result.digest));
  result.config = oci::parse_image_config(s.store().read_blob(manifest.config.digest));
  result.root = root_of(s, result.reference, result.digest, manifest, result.config);
  return result;
}

void note_gpus_of_image(Session& s, const std::string& reference, const gpu::Request& request) {
  if (!request.cuda.empty() && request.which.empty()) {
    s.events().info("`{}` is made for CUDA {}: `--gpus all` gives it the GPUs of this machine", reference, request.cuda);
  }
}

void check_mounts_of_image(Session& s, const std::string& reference, const std::vector<launch::Mount>& mounts,
                           const std::vector<launch::Mount>& given, bool allowed, bool only_shown) {
  const std::string host = oci::Reference::parse(reference).registry;
  const auto known = s.config().registries.find(host);
  const bool performed = allowed || (known != s.config().registries.end() && known->second.allow_mounts);
  Error error(ErrorKind::Denied, "`{}` would have folders of this machine mounted", reference);
  bool refused = false;
  for (const launch::Mount& mount : mounts) {
    if (std::ranges::find(given, mount) != given.end()) {
      continue;
    }
    const std::string what = format("`{}` of this machine mounted at `{}`{}", printable(mount.source.string()),
                                    printable(mount.target), mount.read_only ? "" : ", writable");
    if (performed || only_shown) {
      s.events().warn("the image has {}", what);
    } else {
      refused = true;
      error.add_cause(what);
    }
  }
  if (refused) {
    error.add_hint("give a folder of your choice with `--mount SOURCE:TARGET`, or allow these: `--allow-mounts`");
    if (!host.empty()) {
      error.add_hint(
          format("for every image of {}, in config.toml:\n[registries.\"{}\"]\nallow_mounts = true", host, host));
    }
    throw error;
  }
}

Digest require_image(Session& s, const std::string& reference) {
  if (const auto digest = s.store().resolve(reference)) {
    return *digest;
  }
  Error error(ErrorKind::NotFound, "there is no image `{}`", reference);
  std::vector<std::string> known;
  for (const store::Store::Image& image : s.store().images()) {
    known.push_back(image.reference);
  }
  if (const auto near = nearest(reference, known)) {
    error.add_hint(format("did you mean `{}`?", *near));
  } else {
    error.add_hint("`slipway images` lists what there is");
  }
  throw error;
}

}  // namespace slip::cli
