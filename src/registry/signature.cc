#include "registry/signature.h"

#include <algorithm>

#include "codec/base64.h"
#include "codec/sha256.h"
#include "core/count.h"
#include "core/error.h"
#include "core/text.h"
#include "oci/media_types.h"
#include "registry/envelope.h"
#include "registry/pull.h"
#include "registry/push.h"
#include "registry/referrers.h"

namespace slip::registry {
namespace {

constexpr std::size_t kMostSignatures = 100;

std::string signature_tag(const Digest& image) { return "sha256-" + image.hex() + ".sig"; }

/// One signature that was found, before anybody believes it.
struct Candidate {
  std::string payload;
  std::string signature;  ///< DER; empty: `payload` is a bundle
};

/// The image that `key` vouches for with this.
std::optional<Digest> vouched(const Candidate& candidate, const PublicKey& key) {
  if (candidate.signature.empty()) {
    return image_of_bundle(candidate.payload, key);
  }
  return key.verify(candidate.payload, candidate.signature) ? image_of_payload(candidate.payload) : std::nullopt;
}

oci::Manifest signature_manifest(Remote& remote, const std::string& repository, const Digest& image) {
  const auto found = fetch_manifest(remote, repository, signature_tag(image), std::string(oci::media::kManifest));
  return found ? oci::parse_manifest(found->bytes) : oci::Manifest{};
}

std::vector<Candidate> in_tag_form(Remote& remote, const std::string& repository, const oci::Manifest& manifest) {
  std::vector<Candidate> found;
  for (const oci::Descriptor& layer : manifest.layers) {
    const auto annotation = layer.annotations.find(std::string(kSignatureAnnotation));
    if (layer.media_type != kSimpleSigning || annotation == layer.annotations.end() ||
        found.size() >= kMostSignatures) {
      continue;
    }
    if (auto signature = codec::unbase64(annotation->second); signature && !signature->empty()) {
      found.push_back({fetch_blob(remote, repository, layer), std::move(*signature)});
    }
  }
  return found;
}

std::vector<Candidate> in_bundles(Remote& remote, const std::string& repository, const Digest& image) {
  std::vector<Candidate> found;
  for (const oci::Descriptor& entry : list_referrers(remote, repository, image)) {
    if (found.size() >= kMostSignatures || !oci::media::is_manifest(entry.media_type)) {
      continue;
    }
    const auto fetched = fetch_manifest(remote, repository, entry.digest.text());
    const oci::Manifest manifest = fetched ? oci::parse_manifest(fetched->bytes) : oci::Manifest{};
    if (!manifest.artifact_type.starts_with("application/vnd.dev.sigstore.bundle") || manifest.layers.size() != 1) {
      continue;  // the listing's own word for the type is not to be relied on
    }
    found.push_back({fetch_blob(remote, repository, manifest.layers.front()), {}});
  }
  return found;
}

void sign_in_tag_form(Remote& remote, const std::string& repository, const Digest& image, const PrivateKey& key) {
  oci::Manifest manifest = signature_manifest(remote, repository, image);
  for (const Candidate& candidate : in_tag_form(remote, repository, manifest)) {
    if (vouched(candidate, key.public_key()) == image) {
      return;
    }
  }
  const std::string payload = simple_payload(remote.host() + "/" + repository, image);
  oci::Descriptor layer = descriptor_of(kSimpleSigning, payload);
  layer.annotations[std::string(kSignatureAnnotation)] = codec::base64(key.sign(payload));
  manifest.layers.push_back(layer);
  oci::ImageConfig config;
  config.platform = {"", "", ""};
  for (const oci::Descriptor& one : manifest.layers) {
    config.diff_ids.push_back(one.digest);
  }
  const std::string config_bytes = oci::to_json(config);
  manifest.media_type = std::string(oci::media::kManifest);
  manifest.config = descriptor_of(oci::media::kConfig, config_bytes);
  push_text(remote, repository, payload);
  push_text(remote, repository, config_bytes);
  put_manifest(remote, repository, signature_tag(image), oci::to_json(manifest), manifest.media_type);
}

void sign_in_bundle(Remote& remote, const std::string& repository, const oci::Descriptor& image,
                    const PrivateKey& key) {
  for (const Candidate& candidate : in_bundles(remote, repository, image.digest)) {
    if (vouched(candidate, key.public_key()) == image.digest) {
      return;
    }
  }
  const std::string bundle = make_bundle(key, image.digest);
  const std::string empty = "{}";
  oci::Manifest manifest;
  manifest.media_type = std::string(oci::media::kManifest);
  manifest.artifact_type = std::string(kBundle);
  manifest.config = descriptor_of(oci::media::kEmpty, empty);
  manifest.layers = {descriptor_of(kBundle, bundle)};
  manifest.subject = image;
  manifest.annotations = {{"dev.sigstore.bundle.content", "dsse-envelope"},
                          {"dev.sigstore.bundle.predicateType", std::string(kSignPredicate)}};
  push_referrer(remote, repository, manifest, {bundle, empty});
}

}  // namespace

void sign_image(Remote& remote, const std::string& repository, const Digest& image, std::uint64_t size,
                const std::string& media_type, const PrivateKey& key) {
  oci::Descriptor subject;
  subject.media_type = media_type;
  subject.digest = image;
  subject.size = size;
  with_context([&] { return format("sign `{}/{}@{}`", remote.host(), repository, image.text()); },
               [&] {
                 sign_in_tag_form(remote, repository, image, key);
                 sign_in_bundle(remote, repository, subject, key);
               });
}

const PublicKey& verify_image(Remote& remote, const std::string& repository, const std::vector<Digest>& images,
                              const std::vector<PublicKey>& keys) {
  std::size_t seen = 0;
  std::size_t others = 0;  // by a trusted key, but about something else
  for (const Digest& image : images) {
    std::vector<Candidate> found = in_tag_form(remote, repository, signature_manifest(remote, repository, image));
    for (Candidate& candidate : in_bundles(remote, repository, image)) {
      found.push_back(std::move(candidate));
    }
    seen += found.size();
    for (const Candidate& candidate : found) {
      for (const PublicKey& key : keys) {
        const auto about = vouched(candidate, key);
        if (about == image) {
          return key;
        }
        others += about ? 1 : 0;
      }
    }
  }
  Error error(ErrorKind::Denied, "`{}/{}@{}` is not signed by a trusted key", remote.host(), repository,
              images.front().text());
  error.add_cause(seen == 0    ? "it has no signature"
                  : others > 0 ? "its signatures are about another image"
                               : format("it has {}, none of them of a trusted key", counted(seen, "signature")));
  throw error.add_hint(
      "do not use it before whoever published it says why; trusted keys: `trusted_keys` in config.toml, or "
      "--verify");
}

}  // namespace slip::registry
