#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "serving/base/metrics.h"
#include "serving/http/http.h"
#include "serving/models/executor.h"
#include "serving/models/manager.h"
#include "serving/oip/oip.h"

namespace slip::serving {

struct OipRestOptions {
  std::chrono::milliseconds timeout{30'000};  ///< of one request, from its last byte
  std::string version;                        ///< of the server, for its metadata
};

/// The Open Inference Protocol v2 over REST: every path below /v2.
class OipRest {
 public:
  /// All must outlive the service.
  OipRest(OipRestOptions options, Manager& manager, Executor& executor, Metrics& metrics);

  void handle(HttpRequest& request, HttpResponder respond);
  void drain() noexcept { draining_ = true; }

 private:
  struct Call;

  void get(const std::vector<std::string_view>& path, const HttpResponder& respond) const;
  void post(const std::vector<std::string_view>& path, HttpRequest& request, HttpResponder respond);
  Result<std::string> page(const std::vector<std::string_view>& path) const;
  [[nodiscard]] std::string server_metadata() const;
  [[nodiscard]] std::string index() const;
  Result<std::string> model_metadata(const ModelSpec& spec) const;
  Result<std::string> model_config(const ModelSpec& spec) const;
  Result<std::string> statistics(const ModelSpec& spec) const;
  void infer(const ModelSpec& spec, const HttpRequest& request, HttpResponder respond);
  void conclude(const Call& call, Result<HttpResponse> response);

  OipRestOptions options_;
  Manager& manager_;
  Executor& executor_;
  Metrics& metrics_;
  std::atomic<bool> draining_{false};
};

}  // namespace slip::serving
