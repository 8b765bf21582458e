#pragma once

#include <string>
#include <vector>

#include "core/events.h"
#include "inspect/subject.h"

/// What scanners and auditors read about an image: software bills of materials and provenance, made from the lock that
/// it carries. The same image gives the same bytes, but for times of a run that the caller names.
namespace slip::inspect {

/// One part of an image.
struct Component {
  std::string kind;  ///< "deb", "python", or "generic" for slipway-init
  std::string name, version;
  std::string arch;       ///< of a deb
  std::string distro;     ///< "bookworm", of a deb
  std::string file;       ///< locked artefact; empty without a lock
  Digest sha256;          ///< of the artefact; empty without a lock
  std::string needed_by;  ///< name of the package of the same kind that needs it; empty: asked for
  std::string license;    ///< as the package says; may be empty
};

/// From the lock; of an image without one from its own records (dpkg's database, dist-info), which name no digests.
/// Sorted by kind, then name.
std::vector<Component> components_of(const Subject& subject, Events& events);

/// "pkg:deb/debian/jq@1.6-2.1?arch=amd64&distro=bookworm". @source package-url specification, types deb, pypi, oci
std::string purl_of(const Component& component);

/// @source SPDX specification 2.3, JSON
std::string spdx(const Subject& subject, const std::vector<Component>& components);
/// @source CycloneDX 1.5, JSON
std::string cyclonedx(const Subject& subject, const std::vector<Component>& components);

/// What only the run knows; nothing of it is in the image.
struct BuildRun {
  std::string builder = "urn:slipway:local";  ///< URI of who built; the default promises nothing (SLSA Build L1)
  std::string invocation;                     ///< of the CI, say; empty: none
  std::string started, finished;              ///< RFC 3339; empty: not said
};
/// An in-toto statement over the image. @throws Error NotFound: the image carries no lock
/// @source in-toto attestation v1; SLSA provenance v1
std::string provenance(const Subject& subject, const std::vector<Component>& components, const BuildRun& run);

/// A document ready to be attached to the image in a registry.
struct Document {
  std::string media_type;  ///< also the artifact type: "application/spdx+json"
  std::string text;
};
/// All three; without provenance for an image that carries no lock.
std::vector<Document> documents_of(const Subject& subject, const BuildRun& run, Events& events);

}  // namespace slip::inspect
