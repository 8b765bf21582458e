#include "serving/base/options.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::serving {
namespace {

Options read(std::vector<std::string> words) { return read_options(words); }

std::string failure(std::vector<std::string> words) {
  try {
    read_options(words);
  } catch (const Error& error) {
    return error.joined() + (error.hints().empty() ? "" : " | " + error.hints().front());
  }
  return "accepted";
}

/// As KServe's runtime and the official chart call tensorflow_model_server.
TEST(OptionsTest, TakesWhatDeploymentsPass) {
  const Options options = read({"--model_name=resnet", "--port=9000", "--rest_api_port=8080",
                                "--model_base_path=/mnt/models", "--rest_api_timeout_in_ms=60000"});
  EXPECT_EQ(options.model_name, "resnet");
  EXPECT_EQ(options.port, 9000);
  EXPECT_EQ(options.rest_api_port, 8080);
  EXPECT_EQ(options.model_base_path, "/mnt/models");
  EXPECT_EQ(options.rest_api_timeout_in_ms, 60000);
}

TEST(OptionsTest, EveryFlagOfTensorflowModelServerIsKnown) {
  for (const char* flag : {"port",
                           "grpc_socket_path",
                           "rest_api_port",
                           "rest_api_num_threads",
                           "rest_api_timeout_in_ms",
                           "batching_parameters_file",
                           "model_config_file",
                           "model_config_file_poll_wait_seconds",
                           "model_name",
                           "model_base_path",
                           "num_load_threads",
                           "num_unload_threads",
                           "max_num_load_retries",
                           "load_retry_interval_micros",
                           "file_system_poll_wait_seconds",
                           "tensorflow_session_parallelism",
                           "tensorflow_intra_op_parallelism",
                           "tensorflow_inter_op_parallelism",
                           "ssl_config_file",
                           "saved_model_tags",
                           "grpc_channel_arguments",
                           "grpc_max_threads",
                           "num_request_iterations_for_warmup",
                           "monitoring_config_file",
                           "per_process_gpu_memory_fraction",
                           "tensorflow_session_config_file",
                           "thread_pool_factory_config_file"}) {
    std::vector<std::string> words{std::string("--") + flag, "1"};
    if (std::string(flag) == "batching_parameters_file") {
      words.emplace_back("--enable_batching");
    }
    EXPECT_EQ(failure(words), "accepted") << flag;
  }
  for (const char* flag :
       {"rest_api_enable_cors_support", "enable_batching", "allow_version_labels_for_unavailable_models",
        "flush_filesystem_caches", "enable_model_warmup", "enable_profiler", "enable_signature_method_name_check",
        "xla_cpu_compilation_enabled", "prefer_tflite_model", "version"}) {
    EXPECT_EQ(failure({std::string("--") + flag}), "accepted") << flag;
    EXPECT_EQ(failure({std::string("--") + flag + "=false"}), "accepted") << flag;
  }
}

TEST(OptionsTest, UnknownFlagsAndBadValuesAreErrors) {
  EXPECT_EQ(failure({"--rest_api_prt=1"}), "unknown flag --rest_api_prt | did you mean --rest_api_port?");
  EXPECT_EQ(failure({"--completely_else"}), "unknown flag --completely_else | `slipway-serve --help` lists all flags");
  EXPECT_EQ(failure({"--port=many"}), "--port=many: expected a number from 0 up");
  EXPECT_EQ(failure({"--port=-1"}), "--port=-1: expected a number from 0 up");
  EXPECT_EQ(failure({"--rest_api_busy_poll_micros=10001"}),
            "--rest_api_busy_poll_micros=10001: expected at most 10000");
  EXPECT_EQ(failure({"--port=70000"}), "--port=70000: expected a port up to 65535");
  EXPECT_EQ(failure({"--port"}), "--port needs a value");
  EXPECT_EQ(failure({"--enable_batching=perhaps"}), "--enable_batching=perhaps: expected true or false");
  EXPECT_EQ(failure({"model"}), "unexpected argument `model`: flags begin with --");
  EXPECT_EQ(failure({"--batching_parameters_file=x"}), "--batching_parameters_file is given without --enable_batching");
}

TEST(OptionsTest, FlagsWithoutEffectAreNamedAndTakeTheirValue) {
  const Options options = read({"--num_unload_threads", "4", "--enable_profiler", "--port=1"});
  EXPECT_EQ(options.without_effect, (std::vector<std::string>{"num_unload_threads", "enable_profiler"}));
  EXPECT_EQ(options.port, 1);
}

TEST(OptionsTest, HelpNamesEveryFlagWithItsDefault) {
  const std::string help = help_text();
  EXPECT_NE(help.find("--port=N\n        gRPC port; 0: none [8500]\n"), std::string::npos) << help;
  EXPECT_NE(help.find("--enable_batching\n"), std::string::npos);
  EXPECT_NE(help.find("--num_unload_threads"), std::string::npos);
}

}  // namespace
}  // namespace slip::serving
