#include "oci/types.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "core/error.h"
#include "core/text.h"
#include "oci/media_types.h"

namespace slip::oci {
namespace {

using codec::Json;               // what we write: keys stay in order
using Foreign = nlohmann::json;  // what we read: keys are looked up

constexpr std::uint64_t kMaxSize = std::uint64_t{1} << 50;  ///< of a blob
constexpr std::size_t kMaxLayers = 1000;

/// One object of a foreign document; knows its place for messages. Absent and null members read as empty.
class Reader {
 public:
  Reader(const Foreign& json, std::string place) : json_(json), place_(std::move(place)) {
    if (!json_.is_object()) {
      wrong("", "an object");
    }
  }

  [[nodiscard]] const Foreign* find(const char* key) const {
    const auto at = json_.find(key);
    return at == json_.end() || at->is_null() ? nullptr : &*at;
  }
  [[nodiscard]] std::string where(const std::string& key) const { return place_ + (key.empty() ? "" : "." + key); }
  [[noreturn]] void wrong(const std::string& key, const std::string& wanted) const {
    throw Error(ErrorKind::Invalid, "`{}` must be {}", printable(where(key)), wanted);
  }
  const Foreign& need(const char* key) const {
    const Foreign* value = find(key);
    if (value == nullptr) {
      throw Error(ErrorKind::Invalid, "`{}` is missing", where(key));
    }
    return *value;
  }

  [[nodiscard]] std::string text(const char* key) const {
    const Foreign* value = find(key);
    if (value == nullptr) {
      return {};
    }
    if (!value->is_string()) {
      wrong(key, "a string");
    }
    return value->get<std::string>();
  }
  [[nodiscard]] bool flag(const char* key) const {
    const Foreign* value = find(key);
    if (value != nullptr && !value->is_boolean()) {
      wrong(key, "true or false");
    }
    return value != nullptr && value->get<bool>();
  }
  [[nodiscard]] Digest digest(const char* key) const { return digest_of(need(key), key); }
  [[nodiscard]] Digest digest_of(const Foreign& value, const std::string& key) const {
    const auto found = value.is_string() ? Digest::parse(value.get_ref<const std::string&>()) : std::nullopt;
    if (!found || !value.get_ref<const std::string&>().starts_with("sha256:")) {
      wrong(key, "a digest `sha256:` and 64 hexadecimal digits");
    }
    return *found;
  }
  [[nodiscard]] std::uint64_t size(const char* key) const {
    const Foreign& value = need(key);
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > kMaxSize) {
      wrong(key, "a size in bytes");
    }
    return value.get<std::uint64_t>();
  }
  /// Runs each(element, its place) over an array.
  template <class Each>
  void array(const char* key, Each each) const {
    const Foreign* value = find(key);
    if (value == nullptr) {
      return;
    }
    if (!value->is_array()) {
      wrong(key, "an array");
    }
    std::size_t i = 0;
    for (const Foreign& element : *value) {
      each(element, format("{}[{}]", where(key), i++));
    }
  }
  [[nodiscard]] std::vector<std::string> texts(const char* key) const {
    std::vector<std::string> all;
    array(key, [&](const Foreign& element, const std::string& place) {
      if (!element.is_string()) {
        throw Error(ErrorKind::Invalid, "`{}` must be a string", place);
      }
      all.push_back(element.get<std::string>());
    });
    return all;
  }
  [[nodiscard]] std::map<std::string, std::string> map(const char* key) const {
    std::map<std::string, std::string> all;
    if (const Foreign* value = find(key)) {
      if (!value->is_object()) {
        wrong(key, "an object of strings");
      }
      for (const auto& [name, element] : value->items()) {
        if (!element.is_string()) {
          wrong(key, "an object of strings");
        }
        all[name] = element.get<std::string>();
      }
    }
    return all;
  }
  /// Keys of an object whose values mean nothing ({"8888/tcp": {}}).
  [[nodiscard]] std::set<std::string> keys(const char* key) const {
    std::set<std::string> all;
    if (const Foreign* value = find(key)) {
      if (!value->is_object()) {
        wrong(key, "an object");
      }
      for (const auto& [name, element] : value->items()) {
        all.insert(name);
      }
    }
    return all;
  }

 private:
  const Foreign& json_;
  std::string place_;
};

/// Refuses what different readers understand differently: a key twice in one object, deep nesting.
class Strict {
 public:
  explicit Strict(const char* name) : name_(name) {}
  bool operator()(int depth, Foreign::parse_event_t event, const Foreign& parsed) {
    switch (event) {
      case Foreign::parse_event_t::object_start: keys_.emplace_back(); break;
      case Foreign::parse_event_t::object_end: keys_.pop_back(); break;
      case Foreign::parse_event_t::key:
        if (!keys_.back().insert(parsed.get<std::string>()).second) {
          throw Error(ErrorKind::Invalid, "{}: `{}` stands twice in one object", name_,
                      printable(parsed.get<std::string>()));
        }
        break;
      case Foreign::parse_event_t::array_start:
      case Foreign::parse_event_t::array_end:
      case Foreign::parse_event_t::value: break;
    }
    if (depth > 32) {
      throw Error(ErrorKind::Invalid, "{}: nested more than 32 deep", name_);
    }
    return true;
  }

 private:
  const char* name_;
  std::vector<std::set<std::string>> keys_;
};

Foreign parse(std::string_view json, const char* name) {
  if (json.size() > kMaxDocument) {
    throw Error(ErrorKind::Invalid, "{}: {} bytes are more than the {} that are allowed", name, json.size(),
                kMaxDocument);
  }
  try {
    Strict strict(name);
    return Foreign::parse(
        json, [&](int depth, Foreign::parse_event_t event, Foreign& parsed) { return strict(depth, event, parsed); });
  } catch (const Foreign::parse_error& e) {
    throw Error(ErrorKind::Invalid, "{}: not valid JSON at byte {}", name, e.byte);
  }
}

void put(Json& json, const char* key, const std::string& text) {
  if (!text.empty()) {
    json[key] = text;
  }
}

void put(Json& json, const char* key, const std::map<std::string, std::string>& map) {
  if (!map.empty()) {
    json[key] = map;
  }
}

void put(Json& json, const char* key, const std::vector<std::string>& texts) {
  if (!texts.empty()) {
    json[key] = texts;
  }
}

void put(Json& json, const char* key, const std::set<std::string>& names) {
  if (!names.empty()) {
    Json& set = json[key] = Json::object();
    for (const std::string& name : names) {
      set[name] = Json::object();
    }
  }
}

Json platform_json(const Platform& value) {
  Json json = Json::object();
  json["architecture"] = value.architecture;
  json["os"] = value.os;
  put(json, "variant", value.variant);
  return json;
}

Json descriptor_json(const Descriptor& value) {
  Json json = Json::object();
  json["mediaType"] = value.media_type;
  json["digest"] = value.digest.text();
  json["size"] = value.size;
  put(json, "annotations", value.annotations);
  if (value.platform) {
    json["platform"] = platform_json(*value.platform);
  }
  put(json, "artifactType", value.artifact_type);
  return json;
}

Json descriptors_json(const std::vector<Descriptor>& values) {
  Json list = Json::array();
  for (const Descriptor& value : values) {
    list.push_back(descriptor_json(value));
  }
  return list;
}

Platform read_platform(const Reader& in) { return {in.text("architecture"), in.text("os"), in.text("variant")}; }

Descriptor read_descriptor(const Foreign& json, const std::string& place) {
  const Reader in(json, place);
  Descriptor value;
  value.media_type = in.text("mediaType");
  if (value.media_type.empty()) {
    in.wrong("mediaType", "given");
  }
  value.digest = in.digest("digest");
  value.size = in.size("size");
  value.annotations = in.map("annotations");
  if (const Foreign* platform = in.find("platform")) {
    value.platform = read_platform(Reader(*platform, in.where("platform")));
  }
  value.artifact_type = in.text("artifactType");
  return value;
}

std::vector<Descriptor> read_descriptors(const Reader& in, const char* key) {
  (void)in.need(key);
  std::vector<Descriptor> all;
  in.array(key, [&](const Foreign& element, const std::string& place) {
    if (all.size() >= kMaxLayers) {
      throw Error(ErrorKind::Invalid, "`{}` has more than {} entries", in.where(key), kMaxLayers);
    }
    all.push_back(read_descriptor(element, place));
  });
  return all;
}

void check_version(const Reader& in) {
  const Foreign& version = in.need("schemaVersion");
  if (!version.is_number_integer() || version != 2) {
    in.wrong("schemaVersion", "2");
  }
}

/// What manifests and indexes share behind their lists.
template <class Document>
void read_tail(const Reader& in, Document& value) {
  value.artifact_type = in.text("artifactType");
  if (const Foreign* subject = in.find("subject")) {
    value.subject = read_descriptor(*subject, in.where("subject"));
  }
  value.annotations = in.map("annotations");
}

template <class Document>
void put_tail(Json& json, const Document& value) {
  if (value.subject) {
    json["subject"] = descriptor_json(*value.subject);
  }
  put(json, "annotations", value.annotations);
}

template <class Document>
Json head(const Document& value) {
  Json json = Json::object();
  json["schemaVersion"] = 2;
  put(json, "mediaType", value.media_type);
  put(json, "artifactType", value.artifact_type);
  return json;
}

std::uint64_t number_if_any(const Reader& in, const char* key) { return in.find(key) == nullptr ? 0 : in.size(key); }

ImageConfig::Healthcheck read_healthcheck(const Foreign& json, const std::string& place) {
  const Reader in(json, place);
  return {in.texts("Test"), number_if_any(in, "Interval"), number_if_any(in, "Timeout"),
          number_if_any(in, "StartPeriod"), number_if_any(in, "Retries")};
}

Json healthcheck_json(const ImageConfig::Healthcheck& value) {
  Json json = {{"Test", value.test}};
  const auto put_number = [&](const char* key, std::uint64_t number) {
    if (number != 0) {
      json[key] = number;
    }
  };
  put_number("Interval", value.interval);
  put_number("Timeout", value.timeout);
  put_number("StartPeriod", value.start_period);
  put_number("Retries", value.retries);
  return json;
}

void read_start(const Reader& in, ImageConfig& value) {
  value.user = in.text("User");
  value.exposed_ports = in.keys("ExposedPorts");
  value.env = in.texts("Env");
  value.entrypoint = in.texts("Entrypoint");
  value.cmd = in.texts("Cmd");
  value.volumes = in.keys("Volumes");
  value.working_dir = in.text("WorkingDir");
  value.labels = in.map("Labels");
  value.stop_signal = in.text("StopSignal");
  if (const Foreign* health = in.find("Healthcheck")) {
    value.healthcheck = read_healthcheck(*health, in.where("Healthcheck"));
  }
}

Json start_json(const ImageConfig& value) {
  Json json = Json::object();
  put(json, "User", value.user);
  put(json, "ExposedPorts", value.exposed_ports);
  put(json, "Env", value.env);
  put(json, "Entrypoint", value.entrypoint);
  put(json, "Cmd", value.cmd);
  put(json, "Volumes", value.volumes);
  put(json, "WorkingDir", value.working_dir);
  put(json, "Labels", value.labels);
  put(json, "StopSignal", value.stop_signal);
  if (!value.healthcheck.test.empty()) {
    json["Healthcheck"] = healthcheck_json(value.healthcheck);
  }
  return json;
}

Json history_json(const History& value) {
  Json json = Json::object();
  put(json, "created", value.created);
  put(json, "created_by", value.created_by);
  put(json, "author", value.author);
  put(json, "comment", value.comment);
  if (value.empty_layer) {
    json["empty_layer"] = true;
  }
  return json;
}

}  // namespace

std::string to_json(const Descriptor& value) { return codec::dump_canonical(descriptor_json(value)); }

std::string to_json(const Manifest& value) {
  Json json = head(value);
  json["config"] = descriptor_json(value.config);
  json["layers"] = descriptors_json(value.layers);
  put_tail(json, value);
  return codec::dump_canonical(json);
}

std::string to_json(const Index& value) {
  Json json = head(value);
  json["manifests"] = descriptors_json(value.manifests);
  put_tail(json, value);
  return codec::dump_canonical(json);
}

std::string to_json(const ImageConfig& value) {
  Json json = Json::object();
  put(json, "created", value.created);
  put(json, "author", value.author);
  json.update(platform_json(value.platform));
  json["config"] = start_json(value);
  Json& ids = (json["rootfs"] = {{"type", "layers"}, {"diff_ids", Json::array()}})["diff_ids"];
  for (const Digest& id : value.diff_ids) {
    ids.push_back(id.text());
  }
  if (!value.history.empty()) {
    Json& list = json["history"] = Json::array();
    for (const History& entry : value.history) {
      list.push_back(history_json(entry));
    }
  }
  return codec::dump_canonical(json);
}

Descriptor parse_descriptor(std::string_view json) { return read_descriptor(parse(json, "descriptor"), "descriptor"); }

Manifest parse_manifest(std::string_view json) {
  const Foreign document = parse(json, "manifest");
  const Reader in(document, "manifest");
  check_version(in);
  Manifest value;
  value.media_type = in.text("mediaType");
  // A document that could be read both ways must not be (CVE-2021-41190).
  if (in.find("manifests") != nullptr || media::is_index(value.media_type)) {
    throw Error(ErrorKind::Invalid, "the manifest is an index of several images");
  }
  if (!value.media_type.empty() && !media::is_manifest(value.media_type)) {
    throw Error(ErrorKind::Unsupported, "a manifest of type `{}` is not known", printable(value.media_type));
  }
  value.config = read_descriptor(in.need("config"), "manifest.config");
  value.layers = read_descriptors(in, "layers");
  read_tail(in, value);
  return value;
}

Index parse_index(std::string_view json) {
  const Foreign document = parse(json, "index");
  const Reader in(document, "index");
  check_version(in);
  Index value;
  value.media_type = in.text("mediaType");
  if (in.find("layers") != nullptr || in.find("config") != nullptr ||
      (!value.media_type.empty() && !media::is_index(value.media_type))) {
    throw Error(ErrorKind::Invalid, "the index is a manifest of one image");
  }
  value.manifests = read_descriptors(in, "manifests");
  read_tail(in, value);
  return value;
}

ImageConfig parse_image_config(std::string_view json) {
  const Foreign document = parse(json, "config");
  const Reader in(document, "config");
  ImageConfig value;
  value.created = in.text("created");
  value.author = in.text("author");
  value.platform = read_platform(in);
  if (value.platform.architecture.empty() || value.platform.os.empty()) {
    in.wrong(value.platform.os.empty() ? "os" : "architecture", "given");
  }
  if (const Foreign* start = in.find("config")) {
    read_start(Reader(*start, "config.config"), value);
  }
  const Reader rootfs(in.need("rootfs"), "config.rootfs");
  if (rootfs.text("type") != "layers") {
    rootfs.wrong("type", "`layers`");
  }
  (void)rootfs.need("diff_ids");
  rootfs.array("diff_ids", [&](const Foreign& element, const std::string&) {
    value.diff_ids.push_back(rootfs.digest_of(element, "diff_ids"));
  });
  in.array("history", [&](const Foreign& element, const std::string& place) {
    const Reader entry(element, place);
    value.history.push_back({entry.text("created"), entry.text("created_by"), entry.text("author"),
                             entry.text("comment"), entry.flag("empty_layer")});
  });
  return value;
}

}  // namespace slip::oci
