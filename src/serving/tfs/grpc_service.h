#pragma once

#include <atomic>
#include <mutex>
#include <vector>

#include "serving/base/metrics.h"
#include "serving/http/credentials.h"
#include "serving/http/grpc.h"
#include "serving/http/reflection.h"
#include "serving/models/executor.h"
#include "serving/models/manager.h"
#include "serving/oip/grpc.h"
#include "serving/tfs/predict_proto.h"

namespace slip::serving {

struct GrpcServiceOptions {
  std::size_t tensor_bytes = 256u << 20;  ///< of one tensor in a request
  TensorForm form = TensorForm::Typed;    ///< of tensors in answers
  std::string version;                    ///< of the server, for its metadata
};

/// TensorFlow Serving's PredictionService and ModelService, grpc.health.v1.Health and reflection, and by OipGrpc the
/// Open Inference Protocol.
class GrpcService {
 public:
  /// All must outlive the service.
  GrpcService(GrpcServiceOptions options, const Credentials& credentials, Manager& manager, Executor& executor,
              Metrics& metrics);

  void handle(GrpcRequest&& request, GrpcStreamRef stream);
  [[nodiscard]] GrpcHandler handler() {
    return [this](GrpcRequest&& request, GrpcStreamRef stream) { handle(std::move(request), std::move(stream)); };
  }
  /// Whether the method of this path takes several messages.
  static bool is_bidirectional(std::string_view path);
  /// Tells the clients of Health/Watch when the answer has changed; call it now and then.
  void tell_watchers();
  /// From now on Health says NOT_SERVING.
  void drain() noexcept {
    draining_ = true;
    oip_.drain();
  }

 private:
  struct Call;
  struct Task;
  struct MultiInference;

  void predict(GrpcRequest& request, GrpcStreamRef stream);
  void examples(GrpcRequest& request, GrpcStreamRef stream, bool classify);
  void multi_inference(GrpcRequest& request, GrpcStreamRef stream);
  void run_next(std::shared_ptr<MultiInference> all);
  Result<std::string> metadata(std::string_view message) const;
  Result<std::string> status(std::string_view message) const;
  Result<std::string> reload(std::string_view message);
  Result<std::string> check(std::string_view message) const;
  void watch(std::string_view message, const GrpcStreamRef& stream);
  [[nodiscard]] int health_of(std::string_view service) const;
  void conclude(const Call& call, Result<std::string> message);
  void answer(const GrpcStreamRef& stream, Result<std::string> message);

  GrpcServiceOptions options_;
  const Credentials& credentials_;
  Manager& manager_;
  Executor& executor_;
  Metrics& metrics_;
  OipGrpc oip_;
  Reflection reflection_;
  std::atomic<bool> draining_{false};
  struct Watcher {
    GrpcStreamRef stream;
    std::string service;
    int told;
  };
  std::mutex mutex_;
  std::vector<Watcher> watchers_;
};

/// ReloadConfigRequest's models. @source TensorFlow Serving 2.9, apis/model_management.proto, model_server_config.proto
Result<std::vector<ModelConfig>> read_reload_message(std::string_view bytes);

}  // namespace slip::serving
