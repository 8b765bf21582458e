#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slip::serving {

/// The command line of slipway-serve: the flags of tensorflow_model_server under their names and defaults, and ours.
struct Options {
  std::int64_t port = 8500;  ///< gRPC
  std::string grpc_socket_path;
  std::int64_t grpc_max_threads = 0;  ///< 0: four per core
  std::int64_t rest_api_port = 0;     ///< 0: no REST
  std::int64_t rest_api_num_threads = 0;
  std::int64_t rest_api_busy_poll_micros = 50;
  std::int64_t rest_api_timeout_in_ms = 30'000;
  bool rest_api_enable_cors_support = false;
  bool rest_api_kserve_v1 = false;
  bool any_ports = false;  ///< both interfaces on free ports, which the log names
  std::string address = "0.0.0.0";
  std::string model_name = "default";
  std::string model_base_path;
  std::string model_config_file;
  std::int64_t model_config_file_poll_wait_seconds = 0;
  std::int64_t file_system_poll_wait_seconds = 1;
  std::int64_t num_load_threads = 0;
  std::int64_t max_num_load_retries = 5;
  std::int64_t load_retry_interval_micros = 60'000'000;
  bool allow_version_labels_for_unavailable_models = false;
  bool enable_model_warmup = true;
  std::int64_t num_request_iterations_for_warmup = 1;
  bool warmup_from_signatures = false;
  std::string saved_model_tags = "serve";
  std::int64_t tensorflow_session_parallelism = 0;
  std::int64_t tensorflow_intra_op_parallelism = 0;
  std::int64_t tensorflow_inter_op_parallelism = 0;
  std::string tensorflow_session_config_file;
  std::string monitoring_config_file;
  bool enable_serialization_as_tensor_content = false;
  bool enable_batching = false;
  std::string batching_parameters_file;
  std::string ssl_config_file;       ///< gRPC only
  std::string tls_certificate_file;  ///< both ports
  std::string tls_key_file;
  std::string tls_client_ca_file;
  std::string auth_token_file;
  std::string tensorflow;  ///< folder of TensorFlow's libraries
  std::int64_t grace_seconds = 30;
  std::int64_t max_body_bytes = 256 << 20;
  std::int64_t max_connections = 4096;
  bool access_log = false;
  std::string log_format = "json";  ///< or "text"
  bool probe = false;               ///< ask a server on this machine whether it is ready, instead of serving
  bool describe_runtime = false;    ///< print what the runtime can run, instead of serving
  bool version = false;
  bool help = false;
  std::vector<std::string> without_effect;  ///< flags of tensorflow_model_server that were given and change nothing
};

/// Reads flags (`--name=value`, `--name value`, `--bool`) over the environment: MODEL_NAME, MODEL_BASE_PATH and
/// SLIPWAY_TENSORFLOW. @throws Error Usage: an unknown flag, with the nearest known one; a malformed value
Options read_options(const std::vector<std::string>& arguments);

/// A flag as help and manual show it.
struct FlagHelp {
  std::string_view heading;  ///< of the flags from this one on; empty: as before
  std::string spelled;       ///< "--port=N"
  std::string meaning;       ///< with its default in brackets
};
std::vector<FlagHelp> flag_help();
/// Names of tensorflow_model_server's flags that are taken and change nothing.
std::vector<std::string_view> flags_without_effect();

/// What --help prints.
std::string help_text();

}  // namespace slip::serving
