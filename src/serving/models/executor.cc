#include "serving/models/executor.h"

namespace slip::serving {

DirectExecutor::DirectExecutor(Metrics& metrics) : metrics_(metrics) {
  metrics.gauge("slipway_serving_runs_in_flight", [this] { return static_cast<double>(running_.load()); });
}

void DirectExecutor::run(RunCall call, RunDone done) {
  const auto start = Clock::now();
  auto outputs = execute(call, {});
  call.servable->statistics.note_request(outputs.has_value(), Clock::now() - start);
  done(std::move(outputs));
}

Result<std::vector<Tensor>> DirectExecutor::execute(const RunCall& call, const Statistics::Share& share) {
  std::vector<const Tensor*> inputs;
  for (const Tensor& tensor : call.inputs) {
    inputs.push_back(&tensor);
  }
  const Model& model = *call.servable->model;
  const auto start = Clock::now();
  running_.fetch_add(1, std::memory_order_relaxed);
  auto outputs = call.outputs.empty() ? model.run(*call.method, inputs, call.deadline)
                                      : model.run(*call.method, inputs, call.outputs, call.deadline);
  running_.fetch_sub(1, std::memory_order_relaxed);
  const auto took = Clock::now() - start;
  metrics_
      .latency(":tensorflow:serving:runtime_latency",
               {{"model_name", call.servable->name}, {"API", call.api}, {"runtime", "TF1"}})
      .observe(std::chrono::duration<double, std::micro>(took).count());
  if (outputs) {
    call.servable->statistics.note_run(share, took);
  }
  return outputs;
}

}  // namespace slip::serving
