#pragma once

#include <chrono>
#include <string>

#include "serving/base/log.h"
#include "serving/base/metrics.h"
#include "serving/http/credentials.h"
#include "serving/http/http.h"
#include "serving/models/executor.h"
#include "serving/models/manager.h"
#include "serving/oip/rest.h"
#include "serving/tfs/rest_path.h"

namespace slip::serving {

struct RestOptions {
  std::chrono::milliseconds timeout{30'000};  ///< of one request, from its last byte
  std::string metrics_path;                   ///< besides /metrics; empty: none
  std::size_t inflated_bytes = 100u << 20;    ///< of a gzip body
  bool cors = false;                          ///< answer browsers of other origins
  bool kserve_v1 = false;                     ///< which models there are and whether one is ready, as KServe tells it
  bool access_log = false;                    ///< one line per request
  std::string version;                        ///< of the server, for its metadata
};

/// TensorFlow Serving's REST API, health and metrics, and by OipRest the Open Inference Protocol.
class RestService {
 public:
  /// All must outlive the service.
  RestService(RestOptions options, const Credentials& credentials, Manager& manager, Executor& executor,
              Metrics& metrics, Log& log);

  void handle(HttpRequest&& request, HttpResponder respond);
  [[nodiscard]] HttpHandler handler() {
    return [this](HttpRequest&& request, HttpResponder respond) { handle(std::move(request), std::move(respond)); };
  }
  /// From now on /readyz says no, so that a load balancer sends no more.
  void drain() noexcept {
    draining_ = true;
    oip_.drain();
  }

 private:
  struct Call;

  void route(HttpRequest& request, HttpResponder respond);
  bool plain_page(std::string_view path, HttpResponse& response) const;
  void infer(const RestPath& path, std::string_view body, HttpResponder respond);
  void predict(Call call, std::string_view body);
  void examples(Call call, std::string_view body, RestPath::Action action);
  void conclude(const Call& call, Result<std::string> body);
  Result<std::string> status_json(const ModelSpec& spec) const;
  Result<std::string> kserve_status_json(const std::string& model) const;
  Result<std::string> metadata_json(const ModelSpec& spec) const;
  HttpResponder logged(const HttpRequest& request, HttpResponder respond);
  HttpResponse preflight(const HttpRequest& request) const;

  RestOptions options_;
  const Credentials& credentials_;
  Manager& manager_;
  Executor& executor_;
  Metrics& metrics_;
  Log& log_;
  OipRest oip_;
  std::atomic<bool> draining_{false};
};

}  // namespace slip::serving
