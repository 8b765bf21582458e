#include "serving/options.h"

#include <charconv>
#include <cstdlib>
#include <variant>

#include "core/error.h"
#include "core/suggest.h"

namespace slip::serving {
namespace {

using Target = std::variant<std::int64_t Options::*, bool Options::*, std::string Options::*>;

struct Flag {
  std::string_view name;
  Target target;
  std::string_view help;
};

const std::vector<Flag>& flags() {
  static const std::vector<Flag> table = {
      {"port", &Options::port, "gRPC port; 0: none"},
      {"grpc_socket_path", &Options::grpc_socket_path, "also listen for gRPC on this socket file"},
      {"grpc_max_threads", &Options::grpc_max_threads, "threads for gRPC; 0: four per core"},
      {"enable_serialization_as_tensor_content", &Options::enable_serialization_as_tensor_content,
       "answer gRPC with tensor_content instead of typed fields"},
      {"rest_api_port", &Options::rest_api_port, "REST port; 0: none"},
      {"rest_api_num_threads", &Options::rest_api_num_threads, "threads for REST; 0: four per core"},
      {"rest_api_timeout_in_ms", &Options::rest_api_timeout_in_ms, "time a REST request may take"},
      {"rest_api_enable_cors_support", &Options::rest_api_enable_cors_support, "answer browsers of other origins"},
      {"any_ports", &Options::any_ports, "listen on free ports instead; the log names them"},
      {"address", &Options::address, "IP address to listen on"},
      {"model_name", &Options::model_name, "name of the model (or MODEL_NAME)"},
      {"model_base_path", &Options::model_base_path,
       "folder of versions, or one SavedModel (or MODEL_BASE_PATH/MODEL_NAME)"},
      {"model_config_file", &Options::model_config_file, "ModelServerConfig in text format; instead of the two above"},
      {"model_config_file_poll_wait_seconds", &Options::model_config_file_poll_wait_seconds,
       "read that file again this often; 0: never"},
      {"file_system_poll_wait_seconds", &Options::file_system_poll_wait_seconds,
       "look for versions this often; 0: once"},
      {"max_num_load_retries", &Options::max_num_load_retries, "further attempts at a version that does not load"},
      {"load_retry_interval_micros", &Options::load_retry_interval_micros, "time between those attempts"},
      {"allow_version_labels_for_unavailable_models", &Options::allow_version_labels_for_unavailable_models,
       "labels may name versions that are not loaded yet"},
      {"enable_model_warmup", &Options::enable_model_warmup, "run a version's warm-up requests before it serves"},
      {"saved_model_tags", &Options::saved_model_tags, "tags of the graph to load"},
      {"tensorflow_session_parallelism", &Options::tensorflow_session_parallelism,
       "threads inside and between operations; 0: one per core"},
      {"tensorflow_intra_op_parallelism", &Options::tensorflow_intra_op_parallelism, "threads inside one operation"},
      {"tensorflow_inter_op_parallelism", &Options::tensorflow_inter_op_parallelism, "threads between operations"},
      {"monitoring_config_file", &Options::monitoring_config_file, "MonitoringConfig in text format"},
      {"enable_batching", &Options::enable_batching, "run requests of several clients together"},
      {"batching_parameters_file", &Options::batching_parameters_file, "BatchingParameters in text format"},
      {"tensorflow", &Options::tensorflow, "the `tensorflow` folder of a wheel 2.9 (or SLIPWAY_TENSORFLOW)"},
      {"grace_seconds", &Options::grace_seconds, "time for running requests after SIGTERM"},
      {"max_body_bytes", &Options::max_body_bytes, "largest request"},
      {"max_connections", &Options::max_connections, "clients at once; more are refused"},
      {"access_log", &Options::access_log, "one line per request"},
      {"version", &Options::version, "print the version and exit"},
      {"help", &Options::help, "print this and exit"},
  };
  return table;
}

/// Flags of tensorflow_model_server 2.9 that set what does not exist here, or what cannot be otherwise here.
constexpr std::string_view kWithoutEffect[] = {
    "num_load_threads",
    "num_unload_threads",
    "flush_filesystem_caches",
    "grpc_channel_arguments",
    "num_request_iterations_for_warmup",
    "enable_signature_method_name_check",
    "prefer_tflite_model",
    "xla_cpu_compilation_enabled",
    "per_process_gpu_memory_fraction",
    "tensorflow_session_config_file",
    "enable_profiler",
    "thread_pool_factory_config_file",
    "remove_unused_fields_from_bundle_metagraph",
    "num_tflite_interpreters_per_pool",
    "num_tflite_pools",
};

const Flag* find_flag(std::string_view name) {
  for (const Flag& flag : flags()) {
    if (flag.name == name) {
      return &flag;
    }
  }
  return nullptr;
}

bool is_without_effect(std::string_view name) {
  for (const auto known : kWithoutEffect) {
    if (known == name) {
      return true;
    }
  }
  return false;
}

[[noreturn]] void bad_value(std::string_view name, std::string_view value, std::string_view expected) {
  throw Error(ErrorKind::Usage, "--{}={}: expected {}", name, value, expected);
}

void assign(Options& options, const Flag& flag, const std::string& value) {
  if (const auto* text = std::get_if<std::string Options::*>(&flag.target)) {
    options.*(*text) = value;
  } else if (const auto* number = std::get_if<std::int64_t Options::*>(&flag.target)) {
    std::int64_t parsed = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), parsed);
    if (error != std::errc{} || end != value.data() + value.size() || parsed < 0) {
      bad_value(flag.name, value, "a number from 0 up");
    }
    options.*(*number) = parsed;
  } else {
    const bool yes = value == "true" || value == "1" || value.empty();
    if (!yes && value != "false" && value != "0") {
      bad_value(flag.name, value, "true or false");
    }
    options.*std::get<bool Options::*>(flag.target) = yes;
  }
}

[[noreturn]] void unknown_flag(const std::string& name) {
  Error error(ErrorKind::Usage, "unknown flag --{}", name);
  std::vector<std::string> names;
  for (const Flag& flag : flags()) {
    names.emplace_back(flag.name);
  }
  if (const auto near = nearest(name, names)) {
    error.add_hint("did you mean --" + *near + "?");
  }
  throw error;
}

void read_environment(Options& options) {
  if (const char* name = std::getenv("MODEL_NAME")) {
    options.model_name = name;
  }
  if (const char* base = std::getenv("MODEL_BASE_PATH")) {
    const char* name = std::getenv("MODEL_NAME");
    options.model_base_path = std::string(base) + "/" + (name != nullptr ? name : "model");
    options.model_name = name != nullptr ? name : "model";
  }
  if (const char* folder = std::getenv("SLIPWAY_TENSORFLOW")) {
    options.tensorflow = folder;
  }
}

void check(const Options& options) {
  for (const std::int64_t port : {options.port, options.rest_api_port}) {
    if (port > 65535) {
      bad_value("port", std::to_string(port), "a port up to 65535");
    }
  }
  if (!options.batching_parameters_file.empty() && !options.enable_batching) {
    throw Error(ErrorKind::Usage, "--batching_parameters_file is given without --enable_batching");
  }
}

}  // namespace

Options read_options(const std::vector<std::string>& arguments) {
  Options options;
  read_environment(options);
  for (std::size_t i = 0; i < arguments.size(); ++i) {
    const std::string& argument = arguments[i];
    if (!argument.starts_with("--")) {
      throw Error(ErrorKind::Usage, "unexpected argument `{}`: flags begin with --", argument);
    }
    const std::size_t equals = argument.find('=');
    const std::string name = argument.substr(2, equals == std::string::npos ? equals : equals - 2);
    const Flag* flag = find_flag(name);
    std::string value = equals == std::string::npos ? "" : argument.substr(equals + 1);
    if (flag == nullptr) {
      if (!is_without_effect(name)) {
        unknown_flag(name);
      }
      options.without_effect.push_back(name);
      continue;
    }
    if (equals == std::string::npos && !std::holds_alternative<bool Options::*>(flag->target)) {
      if (++i == arguments.size()) {
        throw Error(ErrorKind::Usage, "--{} needs a value", name);
      }
      value = arguments[i];
    }
    assign(options, *flag, value);
  }
  check(options);
  return options;
}

std::string help_text() {
  std::string text =
      "Serves TensorFlow SavedModels over REST and gRPC, with the interfaces of TensorFlow Serving.\n\n"
      "usage: slipway-serve [--FLAG=VALUE]...\n\n";
  for (const Flag& flag : flags()) {
    text += format("  --{:<45} {}\n", flag.name, flag.help);
  }
  return text;
}

}  // namespace slip::serving
