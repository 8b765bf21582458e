#include "registry/push.h"

#include <algorithm>
#include <atomic>
#include <map>
#include <set>

#include "codec/sha256.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/text.h"
#include "oci/media_types.h"

namespace slip::registry {
namespace {

constexpr std::size_t kBlobsAtOnce = 5;
constexpr std::string_view kPlaces = "blob-at";
constexpr std::size_t kMostPlaces = 4;

std::string place_key(const std::string& host, const Digest& blob) { return host + " " + blob.hex(); }

/// Every blob of the image once, the config last.
std::vector<oci::LayerSource> blobs_of(const oci::Image& image, const oci::Manifest& manifest) {
  std::vector<oci::LayerSource> blobs;
  std::set<Digest> seen;
  for (const oci::LayerSource& layer : image.layers) {
    if (seen.insert(layer.descriptor.digest).second) {
      blobs.push_back(layer);
    }
  }
  oci::LayerSource config;
  config.descriptor = manifest.config;
  config.produce = [&image](Sink& out) { out.write(as_bytes(image.config)); };
  blobs.push_back(std::move(config));
  return blobs;
}

}  // namespace

std::vector<std::string> known_places(const store::Store& store, const std::string& host, const Digest& blob) {
  std::vector<std::string> places;
  for (const std::string_view place : split_words(store.record(kPlaces, place_key(host, blob)).value_or(""))) {
    places.emplace_back(place);
  }
  return places;
}

void note_place(store::Store& store, const std::string& host, const Digest& blob, const std::string& repository) {
  std::vector<std::string> places = known_places(store, host, blob);
  if (!places.empty() && places.front() == repository) {
    return;
  }
  std::erase(places, repository);
  places.insert(places.begin(), repository);
  places.resize(std::min(places.size(), kMostPlaces));
  store.set_record(kPlaces, place_key(host, blob), join(places, " "));
}

http::Response put_manifest(Remote& remote, const std::string& repository, const std::string& name,
                            const std::string& bytes, const std::string& media_type) {
  Ask ask;
  ask.method = "PUT";
  ask.target = format("/v2/{}/manifests/{}", repository, name);
  ask.scope = push_scope(repository);
  ask.headers["Content-Type"] = media_type;
  ask.body = [&] { return std::make_unique<http::TextBody>(bytes); };
  http::Response answer = remote.ask(ask);
  if (answer.status != 201 && answer.status != 200) {
    throw remote.refusal(answer, format("put the manifest of `{}/{}:{}`", remote.host(), repository, name));
  }
  return answer;
}

Pushed push(Remote& remote, const oci::Image& image, const oci::Reference& to, store::Store& store,
            const UploadRules& rules) {
  const oci::Manifest manifest = oci::parse_manifest(image.manifest);
  Pushed result;
  result.digest = codec::sha256(image.manifest);
  if (to.digest && *to.digest != result.digest) {
    throw Error(ErrorKind::Conflict, "the image is {}, not what `{}` names", result.digest.text(), to.text())
        .add_hint("push under a tag");
  }
  remote.check(push_scope(to.repository));
  const std::vector<oci::LayerSource> blobs = blobs_of(image, manifest);
  std::uint64_t total = 0;
  for (const oci::LayerSource& blob : blobs) {
    total += blob.descriptor.size;
  }
  Task task(remote.events(), "Pushing", to.text());
  std::vector<std::atomic<std::uint64_t>> done(blobs.size());
  const auto tell = [&] {
    std::uint64_t sum = 0;
    for (const auto& one : done) {
      sum += one.load(std::memory_order_relaxed);
    }
    task.progress(sum, total);
  };
  std::vector<Uploaded> outcomes(blobs.size());
  parallel_for(blobs.size(), kBlobsAtOnce, [&](std::size_t i) {
    const Digest& digest = blobs[i].descriptor.digest;
    std::vector<std::string> places = known_places(store, remote.host(), digest);
    std::erase(places, to.repository);
    outcomes[i] = upload_blob(remote, to.repository, blobs[i], places, rules, [&](std::uint64_t at) {
      done[i].store(at, std::memory_order_relaxed);
      tell();
    });
    note_place(store, remote.host(), digest, to.repository);
  });
  for (const Uploaded& outcome : outcomes) {
    result.uploaded_bytes += outcome.sent;
    result.uploaded += outcome.arrival == Arrival::Uploaded ? 1 : 0;
    result.mounted += outcome.arrival == Arrival::Mounted ? 1 : 0;
    result.skipped += outcome.arrival == Arrival::Present ? 1 : 0;
  }
  put_manifest(remote, to.repository, to.tag.empty() ? result.digest.text() : to.tag, image.manifest,
               manifest.media_type.empty() ? std::string(oci::media::kManifest) : manifest.media_type);
  task.succeed();
  return result;
}

}  // namespace slip::registry
