#include "inspect/documents.h"

#include <algorithm>
#include <map>
#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "core/text.h"
#include "inspect/fixes.h"
#include "inspect/packages.h"
#include "inspect/tree.h"

namespace slip::inspect {
namespace {

using codec::Json;

/// A UUID that is the same for the same image and document (RFC 9562 version 8: 122 bits of a hash).
std::string uuid_of(const Subject& subject, std::string_view document) {
  std::string hex = codec::sha256(subject.digest().text() + " " + std::string(document)).hex();
  hex[12] = '8';
  hex[16] = 'a';
  return format("{}-{}-{}-{}-{}", hex.substr(0, 8), hex.substr(8, 4), hex.substr(12, 4), hex.substr(16, 4),
                hex.substr(20, 12));
}

/// @source package-url: everything but unreserved characters and ":" is percent-encoded
std::string encoded(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
                       c == '-' || c == '_' || c == '~' || c == ':';
    out += plain ? std::string(1, c) : format("%{:02X}", static_cast<unsigned>(static_cast<unsigned char>(c)));
  }
  return out;
}

bool made_by_slipway(const Subject& subject) { return subject.lock() && (subject.spec() || subject.model()); }

std::string image_purl(const Subject& subject) {
  return format("pkg:oci/{}@{}", encoded(subject.title()), encoded(subject.digest().text()));
}

std::string created(const Subject& subject) {
  return subject.config().created.empty() ? "1970-01-01T00:00:00Z" : subject.config().created;
}

void from_lock(const lock::Lock& lock, std::vector<Component>& components) {
  constexpr std::string_view kNeeded = "needed by ";
  const auto needed = [&](const std::string& why) {
    return why.starts_with(kNeeded) ? why.substr(kNeeded.size()) : std::string();
  };
  const auto file = [](const std::string& path) { return path.substr(path.rfind('/') + 1); };
  for (const lock::Deb& deb : lock.debs) {
    components.push_back({"deb",
                          deb.name,
                          deb.version,
                          deb.arch,
                          lock.suite,
                          file(deb.artifact.file),
                          deb.artifact.sha256,
                          needed(deb.why),
                          {}});
  }
  for (const lock::Wheel& w : lock.wheels) {
    components.push_back(
        {"python", w.name, w.version, {}, {}, file(w.artifact.file), w.artifact.sha256, needed(w.why), {}});
  }
  components.push_back({"generic", "slipway-init", lock.init.brief(), {}, {}, "slipway-init", lock.init, {}, {}});
}

void from_tree(const Subject& subject, Events& events, std::vector<Component>& components) {
  TreeOptions options;
  options.keep = [](const codec::TarEntry& entry) {
    return owners_read(entry) || entry.path == "etc/os-release" || entry.path == "usr/lib/os-release";
  };
  const Tree tree = read_tree(subject, options, events);
  const std::string release = release_of(subject, tree);
  for (const Package& p : packages_of(tree)) {
    components.push_back(
        {p.kind, p.name, p.version, p.arch, p.kind == "deb" ? release : std::string(), {}, {}, {}, p.license});
  }
}

/// SPDX ids hold letters, digits, "." and "-".
std::string spdx_id(const Component& component) {
  std::string id = "SPDXRef-" + component.kind + "-";
  for (const char c : component.name) {
    id += (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '.' || c == '-') ? c : '.';
  }
  // "g++" and "g.." would be one id.
  return id + "-" + codec::sha256(component.name + component.arch).hex().substr(0, 8);
}

Json spdx_package(const Component& component) {
  Json package = {{"SPDXID", spdx_id(component)},     {"name", component.name},
                  {"versionInfo", component.version}, {"downloadLocation", "NOASSERTION"},
                  {"filesAnalyzed", false},           {"licenseConcluded", "NOASSERTION"},
                  {"licenseDeclared", "NOASSERTION"}, {"copyrightText", "NOASSERTION"}};
  if (component.kind == "deb") {
    package["supplier"] = "Organization: Debian";
  }
  if (!component.file.empty()) {
    package["packageFileName"] = component.file;
    package["checksums"] = Json::array({{{"algorithm", "SHA256"}, {"checksumValue", component.sha256.hex()}}});
  }
  package["externalRefs"] = Json::array({{{"referenceCategory", "PACKAGE-MANAGER"},
                                          {"referenceType", "purl"},
                                          {"referenceLocator", purl_of(component)}}});
  return package;
}

}  // namespace

std::vector<Component> components_of(const Subject& subject, Events& events) {
  std::vector<Component> components;
  if (subject.lock()) {
    from_lock(*subject.lock(), components);
    if (const auto& model = subject.model()) {
      components.push_back(
          {"generic", "slipway-serve", model->serve.brief(), {}, {}, "slipway-serve", model->serve, {}, {}});
    }
  } else {
    from_tree(subject, events, components);
  }
  std::ranges::sort(components, {}, [](const Component& c) { return std::tie(c.kind, c.name, c.arch); });
  return components;
}

std::string purl_of(const Component& component) {
  if (component.kind == "deb") {
    return format("pkg:deb/debian/{}@{}?arch={}{}", encoded(component.name), encoded(component.version),
                  encoded(component.arch), component.distro.empty() ? "" : "&distro=" + encoded(component.distro));
  }
  return format("pkg:{}/{}@{}", component.kind == "python" ? "pypi" : "generic", encoded(component.name),
                encoded(component.version));
}

std::string spdx(const Subject& subject, const std::vector<Component>& components) {
  constexpr const char* kImage = "SPDXRef-image";
  Json packages = Json::array();
  packages.push_back(
      {{"SPDXID", kImage},
       {"name", subject.title()},
       {"versionInfo", subject.digest().text()},
       {"downloadLocation", "NOASSERTION"},
       {"filesAnalyzed", false},
       {"licenseConcluded", "NOASSERTION"},
       {"licenseDeclared", "NOASSERTION"},
       {"copyrightText", "NOASSERTION"},
       {"primaryPackagePurpose", "CONTAINER"},
       {"checksums", Json::array({{{"algorithm", "SHA256"}, {"checksumValue", subject.digest().hex()}}})},
       {"externalRefs", Json::array({{{"referenceCategory", "PACKAGE-MANAGER"},
                                      {"referenceType", "purl"},
                                      {"referenceLocator", image_purl(subject)}}})}});
  Json relations = Json::array();
  relations.push_back(
      {{"spdxElementId", "SPDXRef-DOCUMENT"}, {"relationshipType", "DESCRIBES"}, {"relatedSpdxElement", kImage}});
  std::map<std::pair<std::string, std::string>, std::string> ids;
  for (const Component& component : components) {
    ids[{component.kind, component.name}] = spdx_id(component);
  }
  for (const Component& component : components) {
    packages.push_back(spdx_package(component));
    relations.push_back(
        {{"spdxElementId", kImage}, {"relationshipType", "CONTAINS"}, {"relatedSpdxElement", spdx_id(component)}});
    const auto needed = ids.find({component.kind, component.needed_by});
    if (needed != ids.end()) {
      relations.push_back({{"spdxElementId", needed->second},
                           {"relationshipType", "DEPENDS_ON"},
                           {"relatedSpdxElement", spdx_id(component)}});
    }
  }
  const Json document = {
      {"spdxVersion", "SPDX-2.3"},
      {"dataLicense", "CC0-1.0"},
      {"SPDXID", "SPDXRef-DOCUMENT"},
      {"name", subject.title()},
      {"documentNamespace", "urn:uuid:" + uuid_of(subject, "spdx")},
      {"creationInfo", {{"created", created(subject)}, {"creators", Json::array({"Tool: slipway"})}}},
      {"packages", std::move(packages)},
      {"relationships", std::move(relations)}};
  return codec::dump_canonical(document);
}

std::string cyclonedx(const Subject& subject, const std::vector<Component>& components) {
  Json list = Json::array();
  std::map<std::pair<std::string, std::string>, std::string> refs;
  for (const Component& component : components) {
    refs[{component.kind, component.name}] = purl_of(component);
  }
  std::map<std::string, std::vector<std::string>> depends;
  const std::string image = image_purl(subject);
  for (const Component& component : components) {
    const std::string purl = purl_of(component);
    Json one = {{"type", component.kind == "generic" ? "application" : "library"},
                {"bom-ref", purl},
                {"name", component.name},
                {"version", component.version},
                {"purl", purl}};
    if (!component.sha256.empty()) {
      one["hashes"] = Json::array({{{"alg", "SHA-256"}, {"content", component.sha256.hex()}}});
    }
    if (!component.file.empty()) {
      one["properties"] = Json::array({{{"name", "slipway:file"}, {"value", component.file}}});
    }
    list.push_back(std::move(one));
    const auto needed = refs.find({component.kind, component.needed_by});
    depends[needed == refs.end() ? image : needed->second].push_back(purl);
    depends[purl];
  }
  Json dependencies = Json::array();
  for (const auto& [ref, on] : depends) {
    Json one = {{"ref", ref}};
    if (!on.empty()) {
      one["dependsOn"] = Json(on);
    }
    dependencies.push_back(std::move(one));
  }
  const Json document = {{"bomFormat", "CycloneDX"},
                         {"specVersion", "1.5"},
                         {"serialNumber", "urn:uuid:" + uuid_of(subject, "cyclonedx")},
                         {"version", 1},
                         {"metadata",
                          {{"timestamp", created(subject)},
                           {"tools", {{"components", Json::array({{{"type", "application"}, {"name", "slipway"}}})}}},
                           {"component",
                            {{"type", "container"},
                             {"bom-ref", image},
                             {"name", subject.title()},
                             {"version", subject.digest().text()},
                             {"purl", image},
                             {"hashes", Json::array({{{"alg", "SHA-256"}, {"content", subject.digest().hex()}}})}}}}},
                         {"components", std::move(list)},
                         {"dependencies", std::move(dependencies)}};
  return codec::dump_canonical(document);
}

std::string provenance(const Subject& subject, const std::vector<Component>& components, const BuildRun& run) {
  if (!made_by_slipway(subject)) {
    throw Error(ErrorKind::NotFound, "`{}` carries no lock, so nobody can say how it was made", subject.name())
        .add_hint("build it with slipway");
  }
  Json dependencies = Json::array();
  for (const Component& component : components) {
    dependencies.push_back(
        {{"uri", purl_of(component)}, {"digest", {{"sha256", component.sha256.hex()}}}, {"name", component.file}});
  }
  for (const std::vector<lock::Wheel>* wheels : {&subject.lock()->build_tools, &subject.lock()->tools}) {
    for (const lock::Wheel& w : *wheels) {
      dependencies.push_back({{"uri", format("pkg:pypi/{}@{}", encoded(w.name), encoded(w.version))},
                              {"digest", {{"sha256", w.artifact.sha256.hex()}}},
                              {"name", w.artifact.file}});
    }
  }
  Json metadata = Json::object();
  for (const auto& [name, value] : {std::pair{"invocationId", &run.invocation}, std::pair{"startedOn", &run.started},
                                    std::pair{"finishedOn", &run.finished}}) {
    if (!value->empty()) {
      metadata[name] = *value;
    }
  }
  const lock::Lock& lock = *subject.lock();
  Json asked = {{"lock", {{"digest", {{"sha256", lock::digest(lock).hex()}}}}}};
  if (subject.spec()) {
    asked["spec"] = codec::parse_json(spec::to_json(*subject.spec()), "spec");
  } else {
    asked["model"] = codec::parse_json(subject.model()->label, "the model's label");
  }
  const Json statement = {
      {"_type", "https://in-toto.io/Statement/v1"},
      {"subject", Json::array({{{"name", subject.title()}, {"digest", {{"sha256", subject.digest().hex()}}}}})},
      {"predicateType", "https://slsa.dev/provenance/v1"},
      {"predicate",
       {{"buildDefinition",
         {{"buildType", subject.spec() ? "urn:slipway:build-from-lock:1" : "urn:slipway:ship-from-lock:1"},
          {"externalParameters", std::move(asked)},
          {"internalParameters", {{"encoder", lock.encoder}, {"snapshot", lock.snapshot}}},
          {"resolvedDependencies", std::move(dependencies)}}},
        {"runDetails", {{"builder", {{"id", run.builder}}}, {"metadata", std::move(metadata)}}}}}};
  return codec::dump_canonical(statement);
}

std::vector<Document> documents_of(const Subject& subject, const BuildRun& run, Events& events) {
  const std::vector<Component> components = components_of(subject, events);
  std::vector<Document> documents = {{"application/spdx+json", spdx(subject, components)},
                                     {"application/vnd.cyclonedx+json", cyclonedx(subject, components)}};
  if (made_by_slipway(subject)) {
    documents.push_back({"application/vnd.in-toto+json", provenance(subject, components, run)});
  }
  return documents;
}

}  // namespace slip::inspect
