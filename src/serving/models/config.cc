#include "serving/models/config.h"

#include <algorithm>
#include <set>

#include "serving/proto/text_format.h"

namespace slip::serving {
namespace {

constexpr const char* kType = "tensorflow.serving.ModelServerConfig";

Result<void> read_policy(const TextMessage& message, VersionPolicy& policy) {
  const TextReader reader(message, "tensorflow.serving.FileSystemStoragePathSourceConfig.ServableVersionPolicy");
  for (const TextField& field : reader.fields()) {
    const auto inner = reader.message(field);
    if (!inner) {
      return tl::unexpected(inner.error());
    }
    const TextReader choice(**inner, field.name);
    if (field.name == "all") {
      policy.kind = VersionPolicy::Kind::All;
    } else if (field.name == "latest") {
      policy.kind = VersionPolicy::Kind::Latest;
    } else if (field.name == "specific") {
      policy.kind = VersionPolicy::Kind::Specific;
    } else {
      return reader.unknown(field);
    }
    for (const TextField& value : choice.fields()) {
      const bool latest = field.name == "latest" && value.name == "num_versions";
      if (!latest && !(field.name == "specific" && value.name == "versions")) {
        return choice.unknown(value);
      }
      const auto number = choice.number(value);
      if (!number) {
        return tl::unexpected(number.error());
      }
      if (latest) {
        policy.latest = static_cast<std::size_t>(std::max<std::int64_t>(1, *number));
      } else {
        policy.specific.push_back(*number);
      }
    }
  }
  return {};
}

Result<void> read_label(const TextMessage& message, std::map<std::string, std::int64_t>& labels) {
  const TextReader reader(message, "version_labels");
  std::string key;
  std::int64_t value = 0;
  for (const TextField& field : reader.fields()) {
    if (field.name == "key") {
      const auto text = reader.text(field);
      if (!text) {
        return tl::unexpected(text.error());
      }
      key = *text;
    } else if (field.name == "value") {
      const auto number = reader.number(field);
      if (!number) {
        return tl::unexpected(number.error());
      }
      value = *number;
    } else {
      return reader.unknown(field);
    }
  }
  labels[key] = value;
  return {};
}

Result<void> read_text(const TextReader& reader, const TextField& field, std::string& into) {
  auto text = reader.text(field);
  if (!text) {
    return tl::unexpected(text.error());
  }
  into = std::move(*text);
  return {};
}

Result<ModelConfig> read_model(const TextMessage& message) {
  const TextReader reader(message, "tensorflow.serving.ModelConfig");
  ModelConfig config;
  std::string base_path;
  std::string platform = "tensorflow";
  for (const TextField& field : reader.fields()) {
    Result<void> done;
    if (field.name == "name") {
      done = read_text(reader, field, config.name);
    } else if (field.name == "base_path") {
      done = read_text(reader, field, base_path);
    } else if (field.name == "model_platform") {
      done = read_text(reader, field, platform);
    } else if (field.name == "model_version_policy" || field.name == "version_labels") {
      const auto inner = reader.message(field);
      if (!inner) {
        return tl::unexpected(inner.error());
      }
      done = field.name == "version_labels" ? read_label(**inner, config.labels) : read_policy(**inner, config.policy);
    } else if (field.name != "logging_config" && field.name != "model_type") {
      return reader.unknown(field);
    }
    if (!done) {
      return tl::unexpected(done.error());
    }
  }
  if (platform != "tensorflow") {
    return invalid("model " + config.name + ": platform `" + platform + "` is not served, only `tensorflow`");
  }
  if (config.name.empty() || base_path.empty()) {
    return invalid("a model needs a name and a base_path");
  }
  config.base_path = base_path;
  return config;
}

tl::unexpected<Failure> parse_error(const char* type, const Failure& failure) {
  return invalid(std::string("Error parsing text-format ") + type + ": " + failure.message);
}

Result<std::vector<ModelConfig>> read_models(const TextMessage& root) {
  std::vector<ModelConfig> configs;
  std::set<std::string> names;
  const TextReader reader(root, kType);
  for (const TextField& list : reader.fields()) {
    if (list.name != "model_config_list") {
      return reader.unknown(list);
    }
    const auto message = reader.message(list);
    if (!message) {
      return tl::unexpected(message.error());
    }
    const TextReader models(**message, "tensorflow.serving.ModelConfigList");
    for (const TextField& field : models.fields()) {
      if (field.name != "config") {
        return models.unknown(field);
      }
      const auto inner = models.message(field);
      auto config = inner ? read_model(**inner) : Result<ModelConfig>(tl::unexpected(inner.error()));
      if (!config) {
        return tl::unexpected(config.error());
      }
      if (!names.insert(config->name).second) {
        return invalid("model " + config->name + " is named twice");
      }
      configs.push_back(std::move(*config));
    }
  }
  return configs;
}

}  // namespace

Result<std::vector<ModelConfig>> read_model_config(std::string_view text) {
  const auto root = read_text_format(text);
  if (!root) {
    return parse_error(kType, root.error());
  }
  auto configs = read_models(*root);
  if (!configs) {
    return parse_error(kType, configs.error());
  }
  return configs;
}

Result<std::string> read_monitoring_config(std::string_view text) {
  constexpr const char* kMonitoring = "tensorflow.serving.MonitoringConfig";
  const auto root = read_text_format(text);
  if (!root) {
    return parse_error(kMonitoring, root.error());
  }
  std::string path;
  bool enable = false;
  const TextReader reader(*root, kMonitoring);
  for (const TextField& field : reader.fields()) {
    const auto inner = reader.message(field);
    if (field.name != "prometheus_config" || !inner) {
      return parse_error(kMonitoring,
                         field.name != "prometheus_config" ? reader.unknown(field).value() : inner.error());
    }
    const TextReader prometheus(**inner, "tensorflow.serving.PrometheusConfig");
    for (const TextField& option : prometheus.fields()) {
      if (option.name == "enable") {
        const auto on = prometheus.boolean(option);
        if (!on) {
          return parse_error(kMonitoring, on.error());
        }
        enable = *on;
      } else if (option.name == "path") {
        const auto given = prometheus.text(option);
        if (!given) {
          return parse_error(kMonitoring, given.error());
        }
        path = *given;
      } else {
        return parse_error(kMonitoring, prometheus.unknown(option).value());
      }
    }
  }
  return enable ? (path.empty() ? "/monitoring/prometheus/metrics" : path) : "";
}

}  // namespace slip::serving
