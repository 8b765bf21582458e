#include "registry/referrers.h"

#include <algorithm>

#include "codec/sha256.h"
#include "core/error.h"
#include "oci/layout.h"
#include "oci/media_types.h"
#include "registry/pull.h"
#include "registry/push.h"

namespace slip::registry {
namespace {

constexpr std::size_t kMostReferrers = 200;
constexpr int kTries = 5;

std::string fallback_tag(const Digest& subject) { return "sha256-" + subject.hex(); }

std::string field(const http::Response& response, const char* name) {
  const auto found = response.headers.find(name);
  return found == response.headers.end() ? std::string() : found->second;
}

/// The URL of `Link: <URL>; rel="next"`; empty: none.
std::string next_link(const std::string& link) {
  const std::size_t end = link.find('>');
  return link.starts_with('<') && end != std::string::npos && link.find("next", end) != std::string::npos
             ? link.substr(1, end - 1)
             : std::string();
}

oci::Index fallback_index(Remote& remote, const std::string& repository, const Digest& subject) {
  const auto found = fetch_manifest(remote, repository, fallback_tag(subject), std::string(oci::media::kIndex));
  return found ? oci::parse_index(found->bytes) : oci::Index{};
}

bool holds(const oci::Index& index, const Digest& manifest) {
  return std::ranges::any_of(index.manifests, [&](const oci::Descriptor& d) { return d.digest == manifest; });
}

/// Two writers may take each other's entry away, so it is looked for afterwards.
void add_to_fallback(Remote& remote, const std::string& repository, const Digest& subject,
                     const oci::Descriptor& entry) {
  for (int attempt = 0; attempt < kTries; ++attempt) {
    oci::Index index = fallback_index(remote, repository, subject);
    if (holds(index, entry.digest)) {
      return;
    }
    index.media_type = std::string(oci::media::kIndex);
    index.manifests.push_back(entry);
    put_manifest(remote, repository, fallback_tag(subject), oci::to_json(index), index.media_type);
    if (holds(fallback_index(remote, repository, subject), entry.digest)) {
      return;
    }
    remote.pause(static_cast<unsigned>(attempt) + 1);
  }
  throw Error(ErrorKind::Conflict, "others change the tag `{}` of `{}/{}` all the time", fallback_tag(subject),
              remote.host(), repository)
      .add_hint("run the command again");
}

}  // namespace

oci::Descriptor descriptor_of(std::string_view type, const std::string& bytes) {
  oci::Descriptor descriptor;
  descriptor.media_type = std::string(type);
  descriptor.digest = codec::sha256(bytes);
  descriptor.size = bytes.size();
  return descriptor;
}

std::vector<oci::Descriptor> list_referrers(Remote& remote, const std::string& repository, const Digest& subject) {
  std::vector<oci::Descriptor> found;
  Ask ask;
  ask.target = format("/v2/{}/referrers/{}", repository, subject.text());
  ask.scope = pull_scope(repository);
  ask.headers["Accept"] = std::string(oci::media::kIndex);
  ask.limit = oci::kMaxDocument;
  while (found.size() < kMostReferrers) {
    const http::Response answer = remote.ask(ask);
    if (answer.status != 200) {
      break;
    }
    for (oci::Descriptor& entry : oci::parse_index(answer.body).manifests) {
      found.push_back(std::move(entry));
    }
    const std::string next = next_link(field(answer, "link"));
    if (!next.starts_with("/v2/")) {
      break;
    }
    ask.target = next;
  }
  // A registry that got the API later may still hold entries under the tag.
  for (oci::Descriptor& entry : fallback_index(remote, repository, subject).manifests) {
    if (!std::ranges::any_of(found, [&](const oci::Descriptor& d) { return d.digest == entry.digest; })) {
      found.push_back(std::move(entry));
    }
  }
  found.resize(std::min(found.size(), kMostReferrers));
  return found;
}

void push_text(Remote& remote, const std::string& repository, const std::string& bytes) {
  oci::LayerSource blob;
  blob.descriptor.digest = codec::sha256(bytes);
  blob.descriptor.size = bytes.size();
  blob.produce = [&](Sink& out) { out.write(as_bytes(bytes)); };
  upload_blob(remote, repository, blob, {}, {}, [](std::uint64_t) {});
}

void push_referrer(Remote& remote, const std::string& repository, const oci::Manifest& manifest,
                   const std::vector<std::string>& blobs) {
  for (const std::string& blob : blobs) {
    push_text(remote, repository, blob);
  }
  const std::string bytes = oci::to_json(manifest);
  oci::Descriptor entry;
  entry.media_type = std::string(oci::media::kManifest);
  entry.digest = codec::sha256(bytes);
  entry.size = bytes.size();
  entry.artifact_type = manifest.artifact_type;
  entry.annotations = manifest.annotations;
  const http::Response answer = put_manifest(remote, repository, entry.digest.text(), bytes, entry.media_type);
  if (field(answer, "oci-subject").empty()) {
    add_to_fallback(remote, repository, manifest.subject->digest, entry);
  }
}

std::size_t attach(Remote& remote, const std::string& repository, const oci::Descriptor& image,
                   const std::vector<Document>& documents) {
  const std::vector<oci::Descriptor> there = list_referrers(remote, repository, image.digest);
  std::size_t added = 0;
  for (const Document& document : documents) {
    oci::LayerSource layer;
    layer.descriptor = descriptor_of(document.type, document.text);
    const std::string manifest = oci::make_attachment(image, document.type, {layer}).manifest;
    const Digest digest = codec::sha256(manifest);
    if (std::ranges::any_of(there, [&](const oci::Descriptor& d) { return d.digest == digest; })) {
      continue;
    }
    push_referrer(remote, repository, oci::parse_manifest(manifest),
                  {document.text, std::string(oci::media::kEmptyBytes)});
    ++added;
  }
  return added;
}

std::vector<std::string> attached(Remote& remote, const std::string& repository, const Digest& image,
                                  const std::string& type) {
  std::vector<std::string> found;
  for (const oci::Descriptor& entry : list_referrers(remote, repository, image)) {
    if (!oci::media::is_manifest(entry.media_type)) {
      continue;
    }
    const auto fetched = fetch_manifest(remote, repository, entry.digest.text());
    if (!fetched) {
      continue;  // a listing may name what was deleted
    }
    const oci::Manifest manifest = oci::parse_manifest(fetched->bytes);
    const bool about = manifest.subject && manifest.subject->digest == image;
    if (about && manifest.artifact_type == type && manifest.layers.size() == 1) {
      found.push_back(fetch_blob(remote, repository, manifest.layers.front()));
    }
  }
  return found;
}

}  // namespace slip::registry
