#include "serving/oip/grpc.h"

#include <algorithm>

#include "serving/base/request_metrics.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

std::string flag_message(bool value) {
  WireWriter w;
  w.boolean(1, value);
  return w.take();
}

WireWriter packed_shape(const Port& port) {
  WireWriter shape;
  for (const std::int64_t size : oip_shape_of(port.info)) {
    shape.raw_varint(static_cast<std::uint64_t>(size));
  }
  return shape;
}

/// TensorMetadata{name=1, datatype=2, shape=3}
WireWriter tensor_metadata(const Port& port) {
  WireWriter w;
  w.bytes(1, port.name);
  w.bytes(2, oip_name_of(port.info.type));
  w.message(3, packed_shape(port));
  return w;
}

/// ModelInput{name=1, data_type=2, dims=4} or ModelOutput{name=1, data_type=2, dims=3}
WireWriter tensor_config(const Port& port, std::uint32_t dims) {
  WireWriter w;
  w.bytes(1, port.name);
  w.varint(2, oip_config_type_of(port.info.type).number);
  w.message(dims, packed_shape(port));
  return w;
}

/// StatisticDuration{count=1, ns=2}
WireWriter duration(const Statistics::Total& total) {
  WireWriter w;
  w.varint(1, total.count);
  w.varint(2, total.ns);
  return w;
}

/// ModelStatistics{name=1, version=2, last_inference=3, inference_count=4, execution_count=5, inference_stats=6{
/// success=1, fail=2, queue=3, compute_infer=5}, batch_stats=7{batch_size=1, compute_infer=3}}
WireWriter model_statistics(const Servable& servable) {
  const Statistics::Snapshot now = servable.statistics.snapshot();
  WireWriter w;
  w.bytes(1, servable.name);
  w.bytes(2, std::to_string(servable.version));
  w.varint(3, now.last_request_ms);
  w.varint(4, now.inferences);
  w.varint(5, now.executions);
  WireWriter stats;
  stats.message(1, duration(now.success));
  stats.message(2, duration(now.fail));
  stats.message(3, duration(now.queue));
  stats.message(5, duration(now.compute));
  w.message(6, stats);
  for (const auto& [rows, total] : now.batches) {
    WireWriter batch;
    batch.varint(1, static_cast<std::uint64_t>(rows));
    batch.message(3, duration(total));
    w.message(7, batch);
  }
  return w;
}

}  // namespace

/// What one inference carries from its start to its answer.
struct OipGrpc::Call {
  GrpcStreamRef stream;
  std::string model;
  std::string id;
  bool streaming;  ///< failures go as messages, and the stream stays
  Clock::time_point start = Clock::now();
};

OipGrpc::OipGrpc(std::string version, Manager& manager, Executor& executor, Metrics& metrics)
    : version_(std::move(version)), manager_(manager), executor_(executor), metrics_(metrics) {}

void OipGrpc::handle(std::string_view method, GrpcRequest& request, const GrpcStreamRef& stream) {
  if (method == "ModelInfer" || method == "ModelStreamInfer") {
    return infer(request, stream, method == "ModelStreamInfer");
  }
  auto message = answer(method, request.message);
  if (message) {
    stream->reply(std::move(*message));
  } else {
    stream->finish(std::move(message.error()));
  }
}

Result<std::string> OipGrpc::answer(std::string_view method, std::string_view message) const {
  if (method == "ServerLive") {
    return flag_message(true);
  }
  if (method == "ServerReady") {
    return flag_message(!draining_ && manager_.ready());
  }
  if (method == "ModelReady") {
    return model_ready(message);
  }
  if (method == "ServerMetadata") {
    return server_metadata();
  }
  if (method == "ModelMetadata") {
    return model_metadata(message);
  }
  if (method == "ModelConfig") {
    return model_config(message);
  }
  if (method == "ModelStatistics") {
    return statistics(message);
  }
  if (method == "RepositoryIndex") {
    return index();
  }
  if (method == "RepositoryModelLoad" || method == "RepositoryModelUnload") {
    return fail(Code::Unavailable,
                "explicit model load / unload is not allowed: what is served follows the model "
                "folders and the model config file");
  }
  return fail(Code::Unimplemented, "unknown method " + std::string(method));
}

Result<std::string> OipGrpc::model_ready(std::string_view message) const {
  const auto spec = read_oip_spec(message);
  if (!spec) {
    return tl::unexpected(spec.error());
  }
  return flag_message(manager_.find(*spec).has_value());
}

/// ServerMetadataResponse{name=1, version=2, extensions=3}
std::string OipGrpc::server_metadata() const {
  WireWriter w;
  w.bytes(1, "slipway-serve");
  w.bytes(2, version_);
  for (const std::string_view extension : kOipExtensions) {
    w.bytes(3, extension);
  }
  return w.take();
}

/// The version that a request names in its fields 1 and 2.
Result<ServableRef> OipGrpc::find(std::string_view message) const {
  return read_oip_spec(message).and_then([&](const ModelSpec& spec) {
    return manager_.find(spec).map_error([&](const Failure&) { return oip_missing(spec); });
  });
}

/// ModelMetadataResponse{name=1, versions=2, platform=3, inputs=4, outputs=5}
Result<std::string> OipGrpc::model_metadata(std::string_view message) const {
  const auto servable = find(message);
  if (!servable) {
    return tl::unexpected(servable.error());
  }
  WireWriter w;
  w.bytes(1, (*servable)->name);
  const auto versions = manager_.status((*servable)->name, std::nullopt);
  for (const VersionStatus& version : versions ? *versions : std::vector<VersionStatus>{}) {
    if (version.state == VersionState::Available) {
      w.bytes(2, std::to_string(version.version));
    }
  }
  w.bytes(3, kOipPlatform);
  if (const Method* method = (*servable)->model->method({})) {
    for (const Port& port : method->inputs) {
      w.message(4, tensor_metadata(port));
    }
    for (const Port& port : method->outputs) {
      w.message(5, tensor_metadata(port));
    }
  }
  return w.take();
}

/// ModelConfigResponse{config=1{name=1, platform=2, input=5, output=6, backend=17}}; 0 rows of max_batch_size: the
/// shapes tell the batch's size too
Result<std::string> OipGrpc::model_config(std::string_view message) const {
  const auto servable = find(message);
  if (!servable) {
    return tl::unexpected(servable.error());
  }
  WireWriter config;
  config.bytes(1, (*servable)->name);
  config.bytes(2, kOipPlatform);
  if (const Method* method = (*servable)->model->method({})) {
    for (const Port& port : method->inputs) {
      config.message(5, tensor_config(port, 4));
    }
    for (const Port& port : method->outputs) {
      config.message(6, tensor_config(port, 3));
    }
  }
  config.bytes(17, "tensorflow");
  WireWriter w;
  w.message(1, config);
  return w.take();
}

/// ModelStatisticsResponse{model_stats=1}
Result<std::string> OipGrpc::statistics(std::string_view message) const {
  const auto servables =
      read_oip_spec(message).and_then([&](const ModelSpec& spec) { return oip_counted(manager_, spec); });
  if (!servables) {
    return tl::unexpected(servables.error());
  }
  WireWriter w;
  for (const ServableRef& servable : *servables) {
    w.message(1, model_statistics(*servable));
  }
  return w.take();
}

/// RepositoryIndexResponse{models=1{name=1, version=2, state=3, reason=4}}
std::string OipGrpc::index() const {
  WireWriter w;
  for (const std::string& name : manager_.names()) {
    const auto versions = manager_.status(name, std::nullopt);
    for (const VersionStatus& version : versions ? *versions : std::vector<VersionStatus>{}) {
      WireWriter model;
      model.bytes(1, name);
      model.bytes(2, std::to_string(version.version));
      model.bytes(3, version.state == VersionState::Available ? "READY" : "UNAVAILABLE");
      model.bytes(4, version.failure.message);
      w.message(1, model);
    }
  }
  return w.take();
}

void OipGrpc::infer(const GrpcRequest& request, const GrpcStreamRef& stream, bool streaming) {
  Call call{stream, "", "", streaming};
  const auto spec = read_oip_spec(request.message);
  if (!spec) {
    return conclude(call, tl::unexpected(spec.error()));
  }
  call.model = spec->name;
  auto servable = manager_.find(*spec);
  if (!servable) {
    return conclude(call, tl::unexpected(oip_missing(*spec)));
  }
  auto message = read_oip_message((*servable)->model->api(), request.message);
  if (!message) {
    return conclude(call, tl::unexpected(message.error()));
  }
  call.id = message->request.id;
  RunCall run{*servable, nullptr, {}, {}, request.deadline};
  const auto plan = plan_oip(message->request, run);
  if (!plan) {
    return conclude(call, tl::unexpected(plan.error()));
  }
  executor_.run(std::move(run),
                [this, call = std::move(call), plan = *plan, held = std::move(*servable),
                 asked = std::make_shared<OipMessage>(std::move(*message))](Result<std::vector<Tensor>> outputs) {
                  conclude(call, outputs ? write_oip_message(*held, *asked, plan, *outputs)
                                         : Result<std::string>(tl::unexpected(outputs.error())));
                });
}

/// ModelStreamInferResponse{error_message=1, infer_response=2}
void OipGrpc::conclude(const Call& call, Result<std::string> response) {
  note_request(metrics_, call.model, response ? Code::Ok : response.error().code, "ModelInfer", "GRPC", call.start);
  if (call.streaming) {
    WireWriter w;
    if (response) {
      w.bytes(2, *response);
    } else {
      w.bytes(1, response.error().message);
      WireWriter named;  // the id, so that the client knows which of its requests failed
      named.bytes(3, call.id);
      w.message(2, named);
    }
    call.stream->send(w.take());
  } else if (response) {
    call.stream->reply(std::move(*response));
  } else {
    call.stream->finish(response.error());
  }
}

}  // namespace slip::serving
