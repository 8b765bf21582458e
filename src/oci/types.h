#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "core/digest.h"

/// The JSON documents of an image as values.
///
/// to_json() writes canonical bytes: fixed key order, no white space, maps sorted bytewise, empty optional members left
/// out. parse_*() reads foreign documents: at most kMaxDocument bytes, 32 levels and no key twice; members that we do
/// not know are skipped, those we know must have the right type. For every value v of ours parse(to_json(v)) == v.
/// @source OCI image-spec v1.1 descriptor.md, manifest.md, image-index.md, config.md
/// @throws Error Invalid, naming the document and the member
namespace slip::oci {

constexpr std::size_t kMaxDocument = 8u << 20;  ///< bytes; registries take manifests of 4 MiB

struct Platform {
  std::string architecture = "amd64";
  std::string os = "linux";
  std::string variant;  ///< "v8"; empty: none
  bool operator==(const Platform&) const = default;
};

/// Names a blob: its type, digest and exact size.
struct Descriptor {
  std::string media_type;
  Digest digest;
  std::uint64_t size = 0;  ///< bytes
  std::map<std::string, std::string> annotations;
  std::optional<Platform> platform;
  std::string artifact_type;
  bool operator==(const Descriptor&) const = default;
};

struct Manifest {
  std::string media_type;  ///< empty in old documents that leave it out
  std::string artifact_type;
  Descriptor config;
  std::vector<Descriptor> layers;  ///< lowest first
  std::optional<Descriptor> subject;
  std::map<std::string, std::string> annotations;
  bool operator==(const Manifest&) const = default;
};

struct Index {
  std::string media_type;
  std::string artifact_type;
  std::vector<Descriptor> manifests;
  std::optional<Descriptor> subject;
  std::map<std::string, std::string> annotations;
  bool operator==(const Index&) const = default;
};

/// How one layer came to be; layers and entries without empty_layer stand in the same order.
struct History {
  std::string created;  ///< RFC 3339; empty: not said
  std::string created_by;
  std::string author;
  std::string comment;
  bool empty_layer = false;
  bool operator==(const History&) const = default;
};

struct ImageConfig {
  std::string created;  ///< RFC 3339, "2022-05-16T00:00:00Z"; never the wall clock
  std::string author;
  Platform platform;
  // What a container starts with.
  std::string user;                     ///< "1000:1000"; empty: root
  std::set<std::string> exposed_ports;  ///< "8888/tcp"
  std::vector<std::string> env;         ///< "NAME=VALUE"
  std::vector<std::string> entrypoint;
  std::vector<std::string> cmd;
  std::set<std::string> volumes;
  std::string working_dir;
  std::map<std::string, std::string> labels;
  std::string stop_signal;
  /// How an engine finds out whether the container is well: an extension of docker's that podman knows too.
  struct Healthcheck {
    std::vector<std::string> test;  ///< {"CMD", program, argument…}; empty: none
    std::uint64_t interval = 0;     ///< nanoseconds, as are the next two; 0: the engine's default
    std::uint64_t timeout = 0;
    std::uint64_t start_period = 0;
    std::uint64_t retries = 0;
    bool operator==(const Healthcheck&) const = default;
  };
  Healthcheck healthcheck;
  // What it is made of.
  std::vector<Digest> diff_ids;  ///< of the uncompressed layers, lowest first
  std::vector<History> history;
  bool operator==(const ImageConfig&) const = default;
};

std::string to_json(const Descriptor& value);
std::string to_json(const Manifest& value);
std::string to_json(const Index& value);
std::string to_json(const ImageConfig& value);

Descriptor parse_descriptor(std::string_view json);
/// A manifest of one image (OCI or Docker schema 2). An index given instead is an error that says so.
Manifest parse_manifest(std::string_view json);
Index parse_index(std::string_view json);
ImageConfig parse_image_config(std::string_view json);

}  // namespace slip::oci
