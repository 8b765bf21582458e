// The calls about models rather than with them: metadata, status, reload.
#include <algorithm>

#include "serving/tfs/grpc_service.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

/// ServableVersionPolicy{latest=100{num_versions=1}, all=101, specific=102{versions=1}}
bool read_policy(std::string_view bytes, VersionPolicy& policy) {
  WireReader r(bytes);
  while (r.next()) {
    if (r.type() != Type::Bytes) {
      continue;
    }
    if (r.field() == 101) {
      policy.kind = VersionPolicy::Kind::All;
      continue;
    }
    WireReader inner(r.bytes());
    policy.kind = r.field() == 102 ? VersionPolicy::Kind::Specific : VersionPolicy::Kind::Latest;
    while (inner.next()) {
      if (inner.is(1, Type::Varint) && r.field() == 100) {
        policy.latest = std::max<std::size_t>(1, inner.number());
      } else if (inner.is(1, Type::Varint)) {
        policy.specific.push_back(inner.signed_number());
      } else if (inner.is(1, Type::Bytes)) {
        std::string_view packed = inner.bytes();
        while (!packed.empty()) {
          const auto version = WireReader::take_varint(packed);
          if (!version) {
            return false;
          }
          policy.specific.push_back(static_cast<std::int64_t>(*version));
        }
      }
    }
    if (!inner.ok()) {
      return false;
    }
  }
  return r.ok();
}

/// ModelConfig{name=1, base_path=2, model_platform=4, model_version_policy=7, version_labels=8}
Result<ModelConfig> read_model_config_message(std::string_view bytes) {
  ModelConfig config;
  bool ok = true;
  WireReader r(bytes);
  while (ok && r.next()) {
    if (r.is(1, Type::Bytes)) {
      config.name = r.bytes();
    } else if (r.is(2, Type::Bytes)) {
      config.base_path = std::string(r.bytes());
    } else if (r.is(4, Type::Bytes) && r.bytes() != "tensorflow") {
      return invalid("platform `" + std::string(r.bytes()) + "` is not served, only `tensorflow`");
    } else if (r.is(7, Type::Bytes)) {
      ok = read_policy(r.bytes(), config.policy);
    } else if (r.is(8, Type::Bytes)) {
      WireReader entry(r.bytes());
      std::string label;
      std::int64_t version = 0;
      while (entry.next()) {
        if (entry.is(1, Type::Bytes)) {
          label = entry.bytes();
        } else if (entry.is(2, Type::Varint)) {
          version = entry.signed_number();
        }
      }
      ok = entry.ok();
      config.labels[label] = version;
    }
  }
  if (!ok || !r.ok()) {
    return invalid("malformed ModelConfig");
  }
  if (config.name.empty() || config.base_path.empty()) {
    return invalid("a model needs a name and a base_path");
  }
  return config;
}

WireWriter write_status(const Failure& failure) {
  WireWriter status;
  if (failure.code != Code::Ok) {
    status.varint(1, static_cast<std::uint64_t>(failure.code));
    status.bytes(2, failure.message);
  }
  return status;
}

}  // namespace

Result<std::vector<ModelConfig>> read_reload_message(std::string_view bytes) {
  std::vector<ModelConfig> configs;
  bool have_list = false;
  WireReader request(bytes);
  while (request.next()) {
    if (!request.is(1, Type::Bytes)) {
      continue;
    }
    WireReader server(request.bytes());  // ModelServerConfig{model_config_list=1}
    while (server.next()) {
      if (!server.is(1, Type::Bytes)) {
        continue;
      }
      have_list = true;
      WireReader list(server.bytes());  // ModelConfigList{config=1}
      while (list.next()) {
        if (list.is(1, Type::Bytes)) {
          auto config = read_model_config_message(list.bytes());
          if (!config) {
            return tl::unexpected(config.error());
          }
          configs.push_back(std::move(*config));
        }
      }
      if (!list.ok()) {
        return invalid("malformed ReloadConfigRequest");
      }
    }
  }
  if (!request.ok() || !have_list) {
    return invalid("ServerConfig type not supported: only model_config_list is");
  }
  return configs;
}

Result<std::string> GrpcService::metadata(std::string_view message) const {
  WireSpec model;
  bool signatures = false;
  WireReader r(message);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      auto spec = read_model_spec(r.bytes());
      if (!spec) {
        return tl::unexpected(spec.error());
      }
      model = std::move(*spec);
    } else if (r.is(2, Type::Bytes)) {
      if (r.bytes() != "signature_def") {
        return invalid("Metadata field " + std::string(r.bytes()) + " is not supported");
      }
      signatures = true;
    }
  }
  if (!r.ok() || !signatures) {
    return invalid("GetModelMetadataRequest must specify at least one metadata_field");
  }
  const auto servable = manager_.find(model.spec);
  if (!servable) {
    return tl::unexpected(servable.error());
  }
  WireWriter map;  // SignatureDefMap{signature_def=1}
  for (const auto& [name, signature] : (*servable)->model->signatures()) {
    WireWriter entry;
    entry.bytes(1, name);
    entry.bytes(2, to_wire(signature));
    map.message(1, entry);
  }
  WireWriter any;
  any.bytes(1, "type.googleapis.com/tensorflow.serving.SignatureDefMap");
  any.message(2, map);
  WireWriter entry;
  entry.bytes(1, "signature_def");
  entry.message(2, any);
  WireWriter response;
  write_model_spec(response, 1, **servable, "");
  response.message(2, entry);
  return response.take();
}

Result<std::string> GrpcService::status(std::string_view message) const {
  WireSpec model;
  WireReader r(message);
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      auto spec = read_model_spec(r.bytes());
      if (!spec) {
        return tl::unexpected(spec.error());
      }
      model = std::move(*spec);
    }
  }
  if (!r.ok() || model.spec.name.empty()) {
    return invalid("Missing ModelSpec");
  }
  const auto versions = manager_.status(model.spec.name, model.spec.version);
  if (!versions) {
    return tl::unexpected(versions.error());
  }
  WireWriter response;
  for (const VersionStatus& version : *versions) {
    WireWriter one;
    one.varint(1, static_cast<std::uint64_t>(version.version));
    one.varint(2, static_cast<std::uint64_t>(version.state));
    one.message(3, write_status(version.failure));
    response.message(1, one);
  }
  return response.take();
}

/// As in TensorFlow Serving the answer tells, in a status of its own, whether every model became available.
Result<std::string> GrpcService::reload(std::string_view message) {
  auto configs = read_reload_message(message);
  Failure failure{Code::Ok, ""};
  if (!configs) {
    failure = configs.error();
  } else if (auto done = manager_.configure(std::move(*configs)); !done) {
    failure = done.error();
  } else {
    failure = manager_.await(std::chrono::minutes(10));
  }
  WireWriter response;
  response.message(1, write_status(failure));
  return response.take();
}

}  // namespace slip::serving
