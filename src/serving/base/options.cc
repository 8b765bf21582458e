#include "serving/base/options.h"

#include <charconv>
#include <cstdlib>
#include <variant>

#include "core/error.h"
#include "core/format.h"
#include "core/suggest.h"

namespace slip::serving {
namespace {

using Target = std::variant<std::int64_t Options::*, bool Options::*, std::string Options::*>;

/// A heading of the help: the flags that follow it in the table belong to it.
struct Flag {
  std::string_view name;
  Target target;
  std::string_view help;
  std::string_view heading = {};  ///< set on the first flag below it
};

const std::vector<Flag>& flags() {
  static const std::vector<Flag> table = {
      {"model_name", &Options::model_name, "name of the model [env: MODEL_NAME]", "What is served"},
      {"model_base_path", &Options::model_base_path,
       "folder of versions, or one SavedModel [env: MODEL_BASE_PATH, as MODEL_BASE_PATH/MODEL_NAME]"},
      {"model_config_file", &Options::model_config_file, "ModelServerConfig in text format, instead of the two above"},
      {"model_config_file_poll_wait_seconds", &Options::model_config_file_poll_wait_seconds,
       "read that file again this often; 0: never"},
      {"file_system_poll_wait_seconds", &Options::file_system_poll_wait_seconds,
       "look for versions this often; 0: once"},
      {"saved_model_tags", &Options::saved_model_tags, "tags of the graph to load, separated by commas"},
      {"num_load_threads", &Options::num_load_threads, "versions that load side by side; 0: one after the other"},
      {"max_num_load_retries", &Options::max_num_load_retries, "further attempts at a version that does not load"},
      {"load_retry_interval_micros", &Options::load_retry_interval_micros, "time between those attempts"},
      {"allow_version_labels_for_unavailable_models", &Options::allow_version_labels_for_unavailable_models,
       "labels may name versions that are not loaded yet"},
      {"enable_model_warmup", &Options::enable_model_warmup, "run a version's warm-up requests before it serves"},
      {"num_request_iterations_for_warmup", &Options::num_request_iterations_for_warmup, "run each of them this often"},
      {"warmup_from_signatures", &Options::warmup_from_signatures,
       "run every signature on zeros where a version has no warm-up requests"},

      {"address", &Options::address, "IP address of both ports", "Ports"},
      {"port", &Options::port, "gRPC port; 0: none"},
      {"grpc_socket_path", &Options::grpc_socket_path, "also listen for gRPC on this socket file"},
      {"grpc_max_threads", &Options::grpc_max_threads, "threads for gRPC; 0: four per core"},
      {"rest_api_port", &Options::rest_api_port, "REST port; 0: none"},
      {"rest_api_num_threads", &Options::rest_api_num_threads, "threads for REST; 0: four per core"},
      {"rest_api_busy_poll_micros", &Options::rest_api_busy_poll_micros,
       "stay awake this long for the next request of a client whose last one came as soon; 0: never"},
      {"rest_api_timeout_in_ms", &Options::rest_api_timeout_in_ms, "time a REST request may take"},
      {"rest_api_enable_cors_support", &Options::rest_api_enable_cors_support, "answer browsers of other origins"},
      {"rest_api_kserve_v1", &Options::rest_api_kserve_v1,
       "answer GET /v1/models and /v1/models/NAME as KServe's v1 protocol does"},
      {"any_ports", &Options::any_ports, "listen on free ports instead; the log names them"},
      {"max_body_bytes", &Options::max_body_bytes, "largest request"},
      {"max_connections", &Options::max_connections, "clients at once per port; more are refused"},
      {"enable_serialization_as_tensor_content", &Options::enable_serialization_as_tensor_content,
       "answer gRPC with tensor_content instead of typed fields"},

      {"ssl_config_file", &Options::ssl_config_file, "SSLConfig in text format: TLS on the gRPC port", "Security"},
      {"tls_certificate_file", &Options::tls_certificate_file, "certificate chain in PEM: TLS on both ports"},
      {"tls_key_file", &Options::tls_key_file, "its private key in PEM"},
      {"tls_client_ca_file", &Options::tls_client_ca_file, "refuse clients without a certificate of these roots"},
      {"auth_token_file", &Options::auth_token_file,
       "refuse requests, health apart, without a bearer token of this file (one per line)"},

      {"enable_batching", &Options::enable_batching, "run requests of several clients together", "Batching"},
      {"batching_parameters_file", &Options::batching_parameters_file, "BatchingParameters in text format"},

      {"tensorflow", &Options::tensorflow, "the `tensorflow` folder of a wheel 2.9 [env: SLIPWAY_TENSORFLOW]",
       "TensorFlow"},
      {"tensorflow_session_parallelism", &Options::tensorflow_session_parallelism,
       "threads inside and between operations; 0: one per core"},
      {"tensorflow_intra_op_parallelism", &Options::tensorflow_intra_op_parallelism, "threads inside one operation"},
      {"tensorflow_inter_op_parallelism", &Options::tensorflow_inter_op_parallelism, "threads between operations"},
      {"tensorflow_session_config_file", &Options::tensorflow_session_config_file, "ConfigProto in text format"},

      {"access_log", &Options::access_log, "one line per request", "Operation"},
      {"log_format", &Options::log_format, "json: one object per line; text: for people"},
      {"monitoring_config_file", &Options::monitoring_config_file,
       "MonitoringConfig in text format: metrics at its path too"},
      {"grace_seconds", &Options::grace_seconds, "time for running requests after SIGTERM"},
      {"probe", &Options::probe,
       "ask the server on --rest_api_port of this machine whether it is ready; exit status 0: yes"},
      {"describe_runtime", &Options::describe_runtime,
       "print TensorFlow's version, graph version and operations as JSON and exit"},
      {"version", &Options::version, "print the version and exit"},
      {"help", &Options::help, "print this and exit"},
  };
  return table;
}

/// Flags of tensorflow_model_server 2.9 that set what does not exist here, or what cannot be otherwise here.
struct Ignored {
  std::string_view name;
  bool takes_value;
};
constexpr Ignored kWithoutEffect[] = {
    {"num_unload_threads", true},
    {"flush_filesystem_caches", false},
    {"grpc_channel_arguments", true},
    {"enable_signature_method_name_check", false},
    {"prefer_tflite_model", false},
    {"use_tflite_model", false},
    {"xla_cpu_compilation_enabled", false},
    {"per_process_gpu_memory_fraction", true},
    {"enable_profiler", false},
    {"enable_grpc_healthcheck_service", false},
    {"thread_pool_factory_config_file", true},
    {"remove_unused_fields_from_bundle_metagraph", false},
    {"num_tflite_interpreters_per_pool", true},
    {"num_tflite_pools", true},
    {"num_tflite_interpreters", true},
};

const Flag* find_flag(std::string_view name) {
  for (const Flag& flag : flags()) {
    if (flag.name == name) {
      return &flag;
    }
  }
  return nullptr;
}

const Ignored* find_ignored(std::string_view name) {
  for (const Ignored& known : kWithoutEffect) {
    if (known.name == name) {
      return &known;
    }
  }
  return nullptr;
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
  for (const Ignored& known : kWithoutEffect) {
    names.emplace_back(known.name);
  }
  if (const auto near = nearest(name, names)) {
    error.add_hint("did you mean --" + *near + "?");
  } else {
    error.add_hint("`slipway-serve --help` lists all flags");
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
  if (options.rest_api_busy_poll_micros > 10'000) {
    bad_value("rest_api_busy_poll_micros", std::to_string(options.rest_api_busy_poll_micros), "at most 10000");
  }
  if (options.log_format != "json" && options.log_format != "text") {
    bad_value("log_format", options.log_format, "json or text");
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
    const Ignored* ignored = flag == nullptr ? find_ignored(name) : nullptr;
    if (flag == nullptr && ignored == nullptr) {
      unknown_flag(name);
    }
    const bool takes_value =
        ignored != nullptr ? ignored->takes_value : !std::holds_alternative<bool Options::*>(flag->target);
    if (equals == std::string::npos && takes_value) {
      if (++i == arguments.size()) {
        throw Error(ErrorKind::Usage, "--{} needs a value", name);
      }
      value = arguments[i];
    }
    if (ignored != nullptr) {
      options.without_effect.push_back(name);
      continue;
    }
    assign(options, *flag, value);
  }
  check(options);
  return options;
}

namespace {

/// " [300]", or nothing where the default says nothing.
std::string default_of(const Flag& flag) {
  const Options plain;
  if (const auto* number = std::get_if<std::int64_t Options::*>(&flag.target)) {
    return format(" [{}]", plain.*(*number));
  }
  if (const auto* text = std::get_if<std::string Options::*>(&flag.target)) {
    return (plain.*(*text)).empty() ? "" : " [" + plain.*(*text) + "]";
  }
  return plain.*std::get<bool Options::*>(flag.target) ? " [true]" : "";
}

std::string placeholder_of(const Flag& flag) {
  if (std::holds_alternative<std::int64_t Options::*>(flag.target)) {
    return "=N";
  }
  if (std::holds_alternative<bool Options::*>(flag.target)) {
    return "";
  }
  return flag.name.ends_with("_file") ? "=FILE" : (flag.name.ends_with("_path") ? "=PATH" : "=TEXT");
}

}  // namespace

std::vector<FlagHelp> flag_help() {
  std::vector<FlagHelp> all;
  for (const Flag& flag : flags()) {
    all.push_back(
        {flag.heading, format("--{}{}", flag.name, placeholder_of(flag)), std::string(flag.help) + default_of(flag)});
  }
  return all;
}

std::vector<std::string_view> flags_without_effect() {
  std::vector<std::string_view> names;
  for (const Ignored& known : kWithoutEffect) {
    names.push_back(known.name);
  }
  return names;
}

std::string help_text() {
  std::string text =
      "Serves TensorFlow SavedModels over REST and gRPC: TensorFlow Serving's interfaces and the Open Inference\n"
      "Protocol v2. Values behind a flag follow `=` or a blank; [in brackets] stand defaults.\n\n"
      "Usage: slipway-serve --model_base_path=PATH --rest_api_port=8501 [--FLAG=VALUE]...\n";
  for (const FlagHelp& flag : flag_help()) {
    if (!flag.heading.empty()) {
      text += format("\n{}:\n", flag.heading);
    }
    text += format("  {}\n        {}\n", flag.spelled, flag.meaning);
  }
  text += "\nTaken from tensorflow_model_server without effect here:\n ";
  std::size_t column = 1;
  for (const std::string_view name : flags_without_effect()) {
    const std::size_t size = name.size() + 3;
    if (column + size > 100) {
      text += "\n ";
      column = 1;
    }
    text += format(" --{}", name);
    column += size;
  }
  text +=
      "\n\nExamples:\n"
      "  slipway-serve --model_name=half --model_base_path=/models/half --rest_api_port=8501\n"
      "        serve the newest version below /models/half\n"
      "  slipway-serve --model_config_file=/etc/models.config --rest_api_port=8501 --enable_batching\n"
      "        serve several models, requests run together\n";
  return text;
}

}  // namespace slip::serving
