#include "serving/tfs/grpc_service.h"

#include "serving/base/request_metrics.h"
#include "serving/tfs/example.h"

namespace slip::serving {
namespace {

using Type = WireReader::Type;

constexpr int kServing = 1;
constexpr int kNotServing = 2;
constexpr int kServiceUnknown = 3;

std::string health_message(int state) {
  WireWriter w;
  w.varint(1, static_cast<std::uint64_t>(state));
  return w.take();
}

std::string first_text(std::string_view message) {
  WireReader r(message);
  std::string text;
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      text = r.bytes();
    }
  }
  return text;
}

}  // namespace

struct GrpcService::Call {
  ServableRef servable;
  GrpcStreamRef stream;
  const char* api;
  Clock::time_point start = Clock::now();
};

GrpcService::GrpcService(GrpcServiceOptions options, const Credentials& credentials, Manager& manager,
                         Executor& executor, Metrics& metrics)
    : options_(options),
      credentials_(credentials),
      manager_(manager),
      executor_(executor),
      metrics_(metrics),
      oip_(options.version, manager, executor, metrics) {}

void GrpcService::handle(GrpcRequest&& request, GrpcStreamRef stream) {
  const std::string_view path = request.path;
  constexpr std::string_view kPrediction = "/tensorflow.serving.PredictionService/";
  constexpr std::string_view kModel = "/tensorflow.serving.ModelService/";
  constexpr std::string_view kHealth = "/grpc.health.v1.Health/";
  if (!path.starts_with(kHealth) && !credentials_.allows(request.authorization)) {
    stream->finish({Code::Unauthenticated, "a valid bearer token is needed"});
    return;
  }
  if (path.starts_with(kPrediction)) {
    const std::string_view method = path.substr(kPrediction.size());
    if (method == "Predict") {
      return predict(request, std::move(stream));
    }
    if (method == "Classify" || method == "Regress") {
      return examples(request, std::move(stream), method == "Classify");
    }
    if (method == "MultiInference") {
      return multi_inference(request, std::move(stream));
    }
    if (method == "GetModelMetadata") {
      return answer(stream, metadata(request.message));
    }
  } else if (path.starts_with(kModel)) {
    const std::string_view method = path.substr(kModel.size());
    if (method == "GetModelStatus") {
      return answer(stream, status(request.message));
    }
    if (method == "HandleReloadConfigRequest") {
      return answer(stream, reload(request.message));
    }
  } else if (Reflection::is_method(path)) {
    stream->send(reflection_.answer(request.message));
    return;
  } else if (path.starts_with(OipGrpc::kService)) {
    const std::string method(path.substr(OipGrpc::kService.size()));
    return oip_.handle(method, request, stream);
  } else if (path == std::string(kHealth) + "Check") {
    return answer(stream, check(request.message));
  } else if (path == std::string(kHealth) + "Watch") {
    return watch(request.message, stream);
  }
  stream->finish({Code::Unimplemented, "unknown method " + request.path});
}

bool GrpcService::is_bidirectional(std::string_view path) {
  return Reflection::is_method(path) || path == std::string(OipGrpc::kService) + "ModelStreamInfer";
}

void GrpcService::answer(const GrpcStreamRef& stream, Result<std::string> message) {
  if (message) {
    stream->reply(std::move(*message));
  } else {
    stream->finish(std::move(message.error()));
  }
}

void GrpcService::conclude(const Call& call, Result<std::string> message) {
  note_request(metrics_, call.servable->name, message ? Code::Ok : message.error().code, call.api, "GRPC", call.start);
  answer(call.stream, std::move(message));
}

void GrpcService::predict(GrpcRequest& request, GrpcStreamRef stream) {
  const auto message = read_predict_message(request.message);
  if (!message) {
    return answer(stream, tl::unexpected(message.error()));
  }
  auto servable = manager_.find(message->model.spec);
  if (!servable) {
    return answer(stream, tl::unexpected(servable.error()));
  }
  Call call{std::move(*servable), std::move(stream), "Predict"};
  auto plan = plan_predict(*call.servable->model, *message, options_.tensor_bytes);
  if (!plan) {
    return conclude(call, tl::unexpected(plan.error()));
  }
  RunCall run{call.servable, plan->method, std::move(plan->inputs), plan->outputs, request.deadline};
  auto shared = std::make_shared<PredictPlan>(std::move(*plan));
  executor_.run(std::move(run), [this, call = std::move(call), shared](Result<std::vector<Tensor>> outputs) {
    conclude(call, outputs ? write_predict_response(*call.servable, *shared, *outputs, options_.form)
                           : Result<std::string>(tl::unexpected(outputs.error())));
  });
}

void GrpcService::examples(GrpcRequest& request, GrpcStreamRef stream, bool classify) {
  const auto message = read_example_message(request.message);
  if (!message) {
    return answer(stream, tl::unexpected(message.error()));
  }
  auto servable = manager_.find(message->model.spec);
  if (!servable) {
    return answer(stream, tl::unexpected(servable.error()));
  }
  Call call{std::move(*servable), std::move(stream), classify ? "Classify" : "Regress"};
  const Model& model = *call.servable->model;
  const auto method = example_method(model, message->model.signature, classify ? kClassifyMethod : kRegressMethod);
  if (!method) {
    return conclude(call, tl::unexpected(method.error()));
  }
  RunCall run{call.servable, *method, {}, {}, request.deadline, call.api};
  note_examples(metrics_, call.servable->name, message->examples.size());
  run.inputs.push_back(example_tensor(model.api(), message->examples));
  const std::size_t count = message->examples.size();
  executor_.run(std::move(run),
                [this, call = std::move(call), method = *method, classify, count](Result<std::vector<Tensor>> outputs) {
                  const auto result = [&]() -> Result<WireWriter> {
                    if (!outputs) {
                      return tl::unexpected(outputs.error());
                    }
                    return classify ? to_classifications(*method, *outputs, count).map(write_classification_result)
                                    : to_regressions(*method, *outputs, count).map(write_regression_result);
                  };
                  conclude(call, result().map([&](const WireWriter& inner) {
                    WireWriter response;
                    response.message(1, inner);
                    write_model_spec(response, 2, *call.servable, method->name);
                    return response.take();
                  }));
                });
}

/// One task of MultiInference.
struct GrpcService::Task {
  WireSpec model;
  std::string method_name;
};

struct GrpcService::MultiInference {
  Call call;
  Deadline deadline;
  std::vector<Task> tasks;
  std::vector<std::string> examples;
  std::size_t next = 0;
  WireWriter response;
};

/// MultiInferenceRequest{tasks=1{model_spec=1, method_name=2}, input=2}
void GrpcService::multi_inference(GrpcRequest& request, GrpcStreamRef stream) {
  std::vector<Task> tasks;
  std::string_view input;
  WireReader r(request.message);
  while (r.next()) {
    if (r.is(2, Type::Bytes)) {
      input = r.bytes();
    } else if (r.is(1, Type::Bytes)) {
      Task task;
      WireReader t(r.bytes());
      while (t.next()) {
        if (t.is(1, Type::Bytes)) {
          auto model = read_model_spec(t.bytes());
          if (!model) {
            return answer(stream, tl::unexpected(model.error()));
          }
          task.model = std::move(*model);
        } else if (t.is(2, Type::Bytes)) {
          task.method_name = t.bytes();
        }
      }
      tasks.push_back(std::move(task));
    }
  }
  if (!r.ok() || tasks.empty()) {
    return answer(stream, invalid(tasks.empty() ? "MultiInference needs at least one task" : "malformed request"));
  }
  for (const Task& task : tasks) {
    if (task.model.spec.name != tasks[0].model.spec.name) {
      return answer(stream, invalid("All ModelSpecs in a MultiInferenceRequest must access the same model name."));
    }
    if (task.method_name != kClassifyMethod && task.method_name != kRegressMethod) {
      return answer(stream, fail(Code::Unimplemented, "Unsupported signature method_name: " + task.method_name));
    }
  }
  auto examples = read_input(input);
  auto servable = manager_.find(tasks[0].model.spec);
  if (!examples || !servable) {
    return answer(stream, tl::unexpected(examples ? servable.error() : examples.error()));
  }
  auto all = std::make_shared<MultiInference>();
  all->call = {std::move(*servable), std::move(stream), "MultiInference"};
  all->deadline = request.deadline;
  all->tasks = std::move(tasks);
  all->examples = std::move(*examples);
  note_examples(metrics_, all->call.servable->name, all->examples.size());
  run_next(std::move(all));
}

void GrpcService::run_next(std::shared_ptr<MultiInference> all) {
  if (all->next == all->tasks.size()) {
    return conclude(all->call, all->response.take());
  }
  const Task& task = all->tasks[all->next++];
  const Model& model = *all->call.servable->model;
  const auto method = example_method(model, task.model.signature, task.method_name);
  if (!method) {
    return conclude(all->call, tl::unexpected(method.error()));
  }
  RunCall run{all->call.servable, *method, {}, {}, all->deadline, "MultiInference"};
  run.inputs.push_back(example_tensor(model.api(), all->examples));
  executor_.run(std::move(run), [this, all, method = *method](Result<std::vector<Tensor>> outputs) {
    const bool classify = method->kind == kClassifyMethod;
    const auto result = [&]() -> Result<WireWriter> {
      if (!outputs) {
        return tl::unexpected(outputs.error());
      }
      return classify ? to_classifications(*method, *outputs, all->examples.size()).map(write_classification_result)
                      : to_regressions(*method, *outputs, all->examples.size()).map(write_regression_result);
    };
    const auto inner = result();
    if (!inner) {
      return conclude(all->call, tl::unexpected(inner.error()));
    }
    WireWriter entry;  // InferenceResult{model_spec=1, classification_result=2, regression_result=3}
    write_model_spec(entry, 1, *all->call.servable, method->name);
    entry.message(classify ? 2 : 3, *inner);
    all->response.message(1, entry);
    run_next(all);
  });
}

int GrpcService::health_of(std::string_view service) const {
  const bool known = service.empty() || service == "tensorflow.serving.PredictionService" ||
                     service == "tensorflow.serving.ModelService";
  return !known ? kServiceUnknown : (!draining_ && manager_.ready() ? kServing : kNotServing);
}

Result<std::string> GrpcService::check(std::string_view message) const {
  const int state = health_of(first_text(message));
  return state == kServiceUnknown ? Result<std::string>(fail(Code::NotFound, "unknown service"))
                                  : health_message(state);
}

void GrpcService::watch(std::string_view message, const GrpcStreamRef& stream) {
  const std::string service = first_text(message);
  const int state = health_of(service);
  stream->send(health_message(state));
  const std::lock_guard lock(mutex_);
  watchers_.push_back({stream, service, state});
}

void GrpcService::tell_watchers() {
  const std::lock_guard lock(mutex_);
  std::erase_if(watchers_, [](const Watcher& watcher) { return !watcher.stream->alive(); });
  for (Watcher& watcher : watchers_) {
    const int state = health_of(watcher.service);
    if (state != watcher.told) {
      watcher.told = state;
      watcher.stream->send(health_message(state));
    }
    if (draining_) {
      watcher.stream->finish({Code::Unavailable, "the server is going down"});
    }
  }
}

}  // namespace slip::serving
