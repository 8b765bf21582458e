#include "registry/pull.h"

#include <algorithm>
#include <atomic>
#include <map>

#include "codec/sha256.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/text.h"
#include "oci/media_types.h"
#include "registry/push.h"

namespace slip::registry {
namespace {

constexpr std::size_t kBlobsAtOnce = 5;

std::string field(const http::Response& response, const char* name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

const std::string kImageTypes = format("{}, {}, {}, {}", oci::media::kManifest, oci::media::kIndex,
                                       oci::media::kDockerManifest, oci::media::kDockerIndex);

/// "application/json; charset=utf-8" → "application/json".
std::string bare_type(const std::string& type) { return std::string(trim(type.substr(0, type.find(';')))); }

std::string platforms_of(const oci::Index& index) {
  std::vector<std::string> names;
  for (const oci::Descriptor& entry : index.manifests) {
    if (entry.platform && entry.platform->os != "unknown") {
      names.push_back(printable(entry.platform->os + "/" + entry.platform->architecture));
    }
  }
  return join(names, ", ");
}

const oci::Descriptor& choose(const oci::Index& index, const oci::Platform& platform, const oci::Reference& from) {
  const oci::Descriptor* chosen = nullptr;
  for (const oci::Descriptor& entry : index.manifests) {
    const bool fits =
        entry.platform && entry.platform->os == platform.os && entry.platform->architecture == platform.architecture;
    if (fits && (chosen == nullptr || (entry.platform->variant.empty() && !chosen->platform->variant.empty()))) {
      chosen = &entry;
    }
  }
  if (chosen == nullptr && index.manifests.size() == 1 && !index.manifests.front().platform) {
    chosen = &index.manifests.front();
  }
  if (chosen == nullptr) {
    throw Error(ErrorKind::Unsupported, "`{}` has no image for {}/{}", from.text(), platform.os, platform.architecture)
        .add_hint("it has: " + platforms_of(index));
  }
  return *chosen;
}

FetchedManifest require_manifest(Remote& remote, const std::string& repository, const std::string& name,
                                 const oci::Reference& from) {
  auto found = fetch_manifest(remote, repository, name);
  if (!found) {
    throw Error(ErrorKind::NotFound, "`{}` has no image `{}`", remote.host(), from.text())
        .add_hint("check repository and tag; a registry may also hide what an account may not see: `slipway login " +
                  remote.host() + "`");
  }
  return std::move(*found);
}

}  // namespace

std::optional<FetchedManifest> fetch_manifest(Remote& remote, const std::string& repository, const std::string& name,
                                              const std::string& accept) {
  Ask ask;
  ask.target = format("/v2/{}/manifests/{}", repository, name);
  ask.scope = pull_scope(repository);
  ask.headers["Accept"] = accept.empty() ? kImageTypes : accept;
  ask.limit = oci::kMaxDocument;
  http::Response answer = remote.ask(ask);
  if (answer.status == 404) {
    return std::nullopt;
  }
  const std::string doing = format("fetch the manifest of `{}/{}` `{}`", remote.host(), repository, name);
  if (answer.status != 200) {
    throw remote.refusal(answer, doing);
  }
  FetchedManifest found{codec::sha256(answer.body), std::move(answer.body), bare_type(field(answer, "content-type"))};
  const auto asked = Digest::parse(name);
  const auto claimed = Digest::parse(field(answer, "docker-content-digest"));
  for (const auto& expected : {asked, claimed}) {
    if (expected && *expected != found.digest) {
      Error error(ErrorKind::Corrupt, "the manifest's bytes have digest {}, not {}", found.digest.text(),
                  expected->text());
      throw error.add_context(doing);
    }
  }
  return found;
}

std::string fetch_blob(Remote& remote, const std::string& repository, const oci::Descriptor& blob) {
  Ask ask;
  ask.target = format("/v2/{}/blobs/{}", repository, blob.digest.text());
  ask.scope = pull_scope(repository);
  ask.limit = oci::kMaxDocument;
  const std::string doing = format("fetch {} of `{}/{}`", blob.digest.text(), remote.host(), repository);
  for (unsigned wrong = 0;;) {
    http::Response answer = remote.ask(ask);
    if (answer.status != 200) {
      throw remote.refusal(answer, doing);
    }
    if (answer.body.size() == blob.size && codec::sha256(answer.body) == blob.digest) {
      return std::move(answer.body);
    }
    if (++wrong > 1) {
      throw Error(ErrorKind::Corrupt, "the registry gives other bytes than the manifest names").add_context(doing);
    }
  }
}

Resolved resolve(Remote& remote, const oci::Reference& from, const oci::Platform& platform) {
  remote.check(pull_scope(from.repository));
  const std::string name = from.digest ? from.digest->text() : from.tag;
  FetchedManifest found = require_manifest(remote, from.repository, name, from);
  Resolved result;
  result.named = found.digest;
  for (int depth = 0; oci::media::is_index(found.media_type); ++depth) {
    if (depth > 2) {
      throw Error(ErrorKind::Unsupported, "`{}` is an index of indexes of indexes", from.text());
    }
    const oci::Index index = oci::parse_index(found.bytes);
    const oci::Descriptor entry = choose(index, platform, from);
    found = require_manifest(remote, from.repository, entry.digest.text(), from);
  }
  const oci::Manifest manifest = with_context([&] { return format("read the manifest of `{}`", from.text()); },
                                              [&] { return oci::parse_manifest(found.bytes); });
  if (!oci::media::is_config(manifest.config.media_type) || !manifest.artifact_type.empty()) {
    throw Error(ErrorKind::Unsupported, "`{}` is no image but `{}`", from.text(),
                printable(manifest.artifact_type.empty() ? manifest.config.media_type : manifest.artifact_type));
  }
  result.digest = found.digest;
  result.manifest = std::move(found.bytes);
  result.config = fetch_blob(remote, from.repository, manifest.config);
  const oci::ImageConfig config = oci::parse_image_config(result.config);
  if (config.platform.os != platform.os || config.platform.architecture != platform.architecture) {
    throw Error(ErrorKind::Unsupported, "`{}` is for {}/{}, this machine is {}/{}", from.text(),
                printable(config.platform.os), printable(config.platform.architecture), platform.os,
                platform.architecture);
  }
  return result;
}

std::uint64_t missing_bytes(const Resolved& image, const store::Store& store) {
  std::map<Digest, std::uint64_t> missing;  // a layer may come twice
  for (const oci::Descriptor& layer : oci::parse_manifest(image.manifest).layers) {
    if (!store.has_blob(layer.digest)) {
      missing[layer.digest] = layer.size;
    }
  }
  std::uint64_t sum = 0;
  for (const auto& [digest, size] : missing) {
    sum += size;
  }
  return sum;
}

std::uint64_t fetch_layers(Remote& remote, const oci::Reference& from, const Resolved& image, store::Store& store,
                           const std::function<void(std::size_t)>& on_layer) {
  const oci::Manifest manifest = oci::parse_manifest(image.manifest);
  std::map<Digest, std::vector<std::size_t>> places;  // a layer may come twice
  std::vector<Digest> order;
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < manifest.layers.size(); ++i) {
    auto& place = places[manifest.layers[i].digest];
    if (place.empty()) {
      order.push_back(manifest.layers[i].digest);
      total += manifest.layers[i].size;
    }
    place.push_back(i);
  }
  Task task(remote.events(), "Pulling", from.text());
  std::atomic<std::uint64_t> done{0};
  std::atomic<std::uint64_t> downloaded{0};
  parallel_for(order.size(), kBlobsAtOnce, [&](std::size_t n) {
    const Digest& digest = order[n];
    const oci::Descriptor& layer = manifest.layers[places.at(digest).front()];
    if (!store.has_blob(digest)) {
      http::Download file;
      file.urls = {format("/v2/{}/blobs/{}", from.repository, digest.text())};
      file.target = store.partial_path(digest);
      file.size = layer.size;
      file.sha256 = digest;
      file.label = "layer " + digest.brief();
      remote.download(file, from.repository, task.id());
      store.adopt_blob(file.target, digest);
      downloaded += layer.size;
    }
    note_place(store, remote.host(), digest, from.repository);
    for (const std::size_t i : places.at(digest)) {
      on_layer(i);
    }
    task.progress(done += layer.size, total);
  });
  store.put_blob(image.config);
  store.put_blob(image.manifest);
  note_place(store, remote.host(), manifest.config.digest, from.repository);
  task.succeed();
  return downloaded;
}

}  // namespace slip::registry
