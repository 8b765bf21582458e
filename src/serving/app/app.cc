#include "serving/app/app.h"

#include <malloc.h>

#include <algorithm>
#include <thread>

#include "core/error.h"
#include "os/file.h"
#include "serving/app/notify.h"
#include "serving/base/metrics.h"
#include "serving/batch/batch.h"
#include "serving/http/credentials.h"
#include "serving/http/http1.h"
#include "serving/models/config.h"
#include "serving/models/executor.h"
#include "serving/models/manager.h"
#include "serving/tf/session_config.h"
#include "serving/tfs/grpc_service.h"
#include "serving/tfs/rest.h"
#include "serving/tfs/warmup.h"

namespace slip::serving {
namespace {

/// A value, or the failure as an error for the person who started the server.
template <class T>
T value_or_throw(Result<T> result, const std::string& file) {
  if (!result) {
    throw Error(ErrorKind::Invalid, "read `{}`: {}", file, result.error().message);
  }
  return std::move(*result);
}

std::vector<ModelConfig> read_models(const Options& options) {
  if (!options.model_config_file.empty()) {
    return value_or_throw(read_model_config(os::read_file(options.model_config_file)), options.model_config_file);
  }
  if (options.model_base_path.empty()) {
    throw Error(ErrorKind::Usage, "no model is named")
        .add_hint("give --model_base_path=FOLDER or --model_config_file=FILE");
  }
  ModelConfig config;
  config.name = options.model_name;
  config.base_path = options.model_base_path;
  return {config};
}

LifecycleSettings lifecycle(const Options& options) {
  LifecycleSettings settings;
  const auto threads = [&](std::int64_t own) {
    return static_cast<int>(own > 0 ? own : options.tensorflow_session_parallelism);
  };
  settings.session.intra_op_threads = threads(options.tensorflow_intra_op_parallelism);
  settings.session.inter_op_threads = threads(options.tensorflow_inter_op_parallelism);
  settings.session.tags = options.saved_model_tags;
  if (const std::string& file = options.tensorflow_session_config_file; !file.empty()) {
    settings.session.config = value_or_throw(read_session_config(os::read_file(file)), file);
  }
  settings.poll = std::chrono::seconds(options.file_system_poll_wait_seconds);
  settings.load_threads = static_cast<unsigned>(options.num_load_threads);
  settings.retries = static_cast<int>(options.max_num_load_retries);
  settings.retry_interval = std::chrono::milliseconds(options.load_retry_interval_micros / 1000);
  settings.labels_for_unavailable = options.allow_version_labels_for_unavailable_models;
  return settings;
}

RestOptions rest_options(const Options& options) {
  RestOptions rest;
  rest.timeout = std::chrono::milliseconds(options.rest_api_timeout_in_ms);
  rest.cors = options.rest_api_enable_cors_support;
  rest.kserve_v1 = options.rest_api_kserve_v1;
  rest.access_log = options.access_log;
  rest.version = SLIP_VERSION;
  rest.metrics_path = options.monitoring_config_file.empty()
                          ? ""
                          : value_or_throw(read_monitoring_config(os::read_file(options.monitoring_config_file)),
                                           options.monitoring_config_file);
  return rest;
}

std::unique_ptr<Executor> make_executor(const Options& options, Metrics& metrics) {
  if (!options.enable_batching) {
    return std::make_unique<DirectExecutor>(metrics);
  }
  const std::string& file = options.batching_parameters_file;
  BatchSettings settings =
      file.empty() ? BatchSettings{} : value_or_throw(read_batch_settings(os::read_file(file)), file);
  return std::make_unique<BatchingExecutor>(std::move(settings), metrics);
}

Warmup warmup(const Options& options) {
  if (!options.enable_model_warmup) {
    return {};
  }
  return [times = options.num_request_iterations_for_warmup, signatures = options.warmup_from_signatures](
             const Servable& servable, const std::filesystem::path& folder) -> Result<std::size_t> {
    auto ran = warm_up(servable, folder, times);
    return ran && *ran == 0 && signatures ? warm_up_signatures(servable, times) : ran;
  };
}

void note_load(Metrics& metrics, const LoadReport& report) {
  const std::string path = report.folder.string();
  const std::string_view status = report.loaded ? "success" : "fail";
  metrics.counter(":tensorflow:cc:saved_model:load_attempt_count", {{"model_path", path}, {"status", status}})
      .fetch_add(1, std::memory_order_relaxed);
  metrics.counter(":tensorflow:cc:saved_model:load_latency", {{"model_path", path}})
      .fetch_add(static_cast<std::uint64_t>(report.load.count()), std::memory_order_relaxed);
  if (report.loaded && report.warmup.count() > 0) {
    metrics
        .latency(":tensorflow:serving:model_warmup_latency",
                 {{"model_path", path}, {"status", name_of(report.failure.code)}})
        .observe(static_cast<double>(report.warmup.count()));
  }
}

unsigned thread_count(std::int64_t given) {
  return given > 0 ? static_cast<unsigned>(given) : 4 * std::max(1u, std::thread::hardware_concurrency());
}

}  // namespace

/// In the order of construction: what comes later uses what comes earlier.
struct App::Parts {
  Parts(Options given, Log& to)
      : options(std::move(given)),
        log(to),
        credentials(options),
        manager(load_tensorflow(options.tensorflow), lifecycle(options), log,
                {warmup(options), [this](const LoadReport& report) { note_load(metrics, report); },
                 [this](const std::filesystem::path& folder) { metrics.forget("model_path", folder.string()); }}),
        executor(make_executor(options, metrics)),
        rest(rest_options(options), credentials, manager, *executor, metrics, log),
        handler(rest.handler()),
        grpc({static_cast<std::size_t>(options.max_body_bytes),
              options.enable_serialization_as_tensor_content ? TensorForm::Content : TensorForm::Typed, SLIP_VERSION},
             credentials, manager, *executor, metrics),
        grpc_handler(grpc.handler()),
        rest_server(static_cast<std::size_t>(options.max_connections)),
        grpc_server(static_cast<std::size_t>(options.max_connections)) {}

  Options options;
  Log& log;
  Metrics metrics;
  Credentials credentials;
  Manager manager;
  std::unique_ptr<Executor> executor;
  RestService rest;
  HttpHandler handler;
  GrpcService grpc;
  GrpcHandler grpc_handler;
  Http1Options http;
  GrpcOptions http2;
  Server rest_server;
  Server grpc_server;
  Clock::time_point next_config_look = Clock::time_point::max();
  Clock::time_point next_credentials_look = Clock::now();
  std::string config_text;
  std::uint64_t seen_events = 0;
  Clock::time_point quiet_since = Clock::now();
  bool trimmed = false;

  void open_ports();
  void look_at_config();
  void look_at_credentials();
  void give_memory_back();
  int drain();
};

void App::Parts::open_ports() {
  http.limits.body_bytes = static_cast<std::size_t>(options.max_body_bytes);
  if (options.rest_api_port > 0 || options.any_ports) {
    const std::int64_t wanted = options.any_ports ? 0 : options.rest_api_port;
    const auto port = rest_server.listen_tcp(options.address, static_cast<std::uint16_t>(wanted),
                                             http1_port(http, handler, credentials.rest()));
    rest_server.start(thread_count(options.rest_api_num_threads),
                      std::chrono::microseconds(options.rest_api_busy_poll_micros));
    log.info("listening", {{"protocol", "REST"},
                           {"address", options.address},
                           {"port", std::int64_t{port}},
                           {"tls", credentials.rest() != nullptr ? "yes" : "no"}});
  }
  http2.message_bytes = static_cast<std::size_t>(options.max_body_bytes);
  http2.bidirectional = GrpcService::is_bidirectional;
  if (options.port > 0 || options.any_ports) {
    const std::int64_t wanted = options.any_ports ? 0 : options.port;
    const auto port = grpc_server.listen_tcp(options.address, static_cast<std::uint16_t>(wanted),
                                             grpc_port(http2, grpc_handler, credentials.grpc()));
    log.info("listening", {{"protocol", "gRPC"},
                           {"address", options.address},
                           {"port", std::int64_t{port}},
                           {"tls", credentials.grpc() != nullptr ? "yes" : "no"}});
  }
  if (!options.grpc_socket_path.empty()) {
    grpc_server.listen_unix(options.grpc_socket_path, grpc_port(http2, grpc_handler, nullptr));
  }
  if (options.port > 0 || options.any_ports || !options.grpc_socket_path.empty()) {
    grpc_server.start(thread_count(options.grpc_max_threads));
  }
}

/// Reads the model config file again; one that cannot be read leaves everything as it is.
void App::Parts::look_at_config() {
  if (Clock::now() < next_config_look) {
    return;
  }
  next_config_look = Clock::now() + std::chrono::seconds(options.model_config_file_poll_wait_seconds);
  try {
    std::string text = os::read_file(options.model_config_file);
    if (text == config_text) {
      return;
    }
    config_text = std::move(text);
    auto configs = read_model_config(config_text);
    const auto done = configs ? manager.configure(std::move(*configs)) : Result<void>(tl::unexpected(configs.error()));
    if (done) {
      log.info("model config read", {{"file", options.model_config_file}});
    } else {
      log.warning("model config rejected", {{"file", options.model_config_file}, {"reason", done.error().message}});
      config_text.clear();  // try again: a label may name a version that is still loading
    }
  } catch (const Error& error) {
    log.warning("model config not read", {{"file", options.model_config_file}, {"reason", error.joined()}});
  }
}

void App::Parts::look_at_credentials() {
  if (Clock::now() >= next_credentials_look) {
    next_credentials_look = Clock::now() + std::chrono::seconds(1);
    credentials.look_again(log);
  }
}

/// Once nobody has asked for anything for a while, what requests have needed goes back to the system: the allocator
/// keeps it otherwise. Not before, because it costs those who wait.
void App::Parts::give_memory_back() {
  constexpr auto kQuiet = std::chrono::seconds(2);
  const std::uint64_t events = rest_server.events() + grpc_server.events();
  if (events != seen_events) {
    seen_events = events;
    quiet_since = Clock::now();
    trimmed = false;
  } else if (!trimmed && Clock::now() - quiet_since >= kQuiet) {
    ::malloc_trim(0);
    trimmed = true;
  }
}

App::App(Options options, Log& log) {
  auto configs = read_models(options);
  parts_ = std::make_unique<Parts>(std::move(options), log);
  Parts& parts = *parts_;
  for (const auto& name : parts.options.without_effect) {
    log.warning("flag has no effect here", {{"flag", name}});
  }
  log.info("tensorflow loaded", {{"version", load_tensorflow(parts.options.tensorflow).Version()}});
  if (!parts.options.model_config_file.empty()) {
    parts.config_text = os::read_file(parts.options.model_config_file);
    if (parts.options.model_config_file_poll_wait_seconds > 0) {
      parts.next_config_look = Clock::now();
    }
  }
  if (auto done = parts.manager.configure(std::move(configs)); !done) {
    throw Error(ErrorKind::Invalid, "configure the models: {}", done.error().message);
  }
  parts.metrics.gauge("slipway_serving_connections_rest",
                      [&parts] { return static_cast<double>(parts.rest_server.connection_count()); });
  parts.metrics.gauge("slipway_serving_connections_grpc",
                      [&parts] { return static_cast<double>(parts.grpc_server.connection_count()); });
  parts.open_ports();
  parts.manager.start();
}

App::~App() = default;

int App::run(const std::function<bool()>& stop) {
  Parts& parts = *parts_;
  bool ready = false;
  while (!stop()) {
    if (!ready) {
      const Failure failure = parts.manager.await(std::chrono::milliseconds(50));
      ready = failure.code == Code::Ok;
      if (ready) {
        parts.log.info("ready");
        notify_ready();
      } else if (failure.code != Code::DeadlineExceeded) {
        parts.log.line("error", "models failed", {{"reason", to_string(failure)}});
        parts.drain();
        return 1;
      }
    }
    parts.look_at_config();
    parts.look_at_credentials();
    parts.give_memory_back();
    parts.grpc.tell_watchers();
  }
  return parts.drain();
}

int App::Parts::drain() {
  log.info("draining", {{"grace_seconds", options.grace_seconds}});
  const auto end = Clock::now() + std::chrono::seconds(options.grace_seconds);
  rest.drain();
  grpc.drain();
  grpc.tell_watchers();
  bool clean = grpc_server.stop(std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()));
  clean &= rest_server.stop(std::chrono::duration_cast<std::chrono::milliseconds>(end - Clock::now()));
  manager.stop();
  log.info("stopped", {{"all_requests_answered", clean ? "yes" : "no"}});
  return 0;
}

}  // namespace slip::serving
