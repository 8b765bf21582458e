#pragma once

#include <string>
#include <string_view>

#include "serving/base/metrics.h"
#include "serving/http/grpc.h"
#include "serving/models/executor.h"
#include "serving/models/manager.h"
#include "serving/oip/proto.h"

namespace slip::serving {

/// inference.GRPCInferenceService: the Open Inference Protocol v2 over gRPC, as KServe and Triton speak it.
class OipGrpc {
 public:
  static constexpr std::string_view kService = "/inference.GRPCInferenceService/";

  /// All must outlive the service. @param version  of the server, for its metadata
  OipGrpc(std::string version, Manager& manager, Executor& executor, Metrics& metrics);

  /// @param method  the name behind kService
  void handle(std::string_view method, GrpcRequest& request, const GrpcStreamRef& stream);
  void drain() noexcept { draining_ = true; }

 private:
  struct Call;

  Result<std::string> answer(std::string_view method, std::string_view message) const;
  Result<ServableRef> find(std::string_view message) const;
  Result<std::string> model_ready(std::string_view message) const;
  Result<std::string> model_metadata(std::string_view message) const;
  Result<std::string> model_config(std::string_view message) const;
  Result<std::string> statistics(std::string_view message) const;
  [[nodiscard]] std::string server_metadata() const;
  [[nodiscard]] std::string index() const;
  void infer(const GrpcRequest& request, const GrpcStreamRef& stream, bool streaming);
  void conclude(const Call& call, Result<std::string> response);

  const std::string version_;
  Manager& manager_;
  Executor& executor_;
  Metrics& metrics_;
  std::atomic<bool> draining_{false};
};

}  // namespace slip::serving
