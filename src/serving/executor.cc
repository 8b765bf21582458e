#include "serving/executor.h"

namespace slip::serving {

void DirectExecutor::run(RunCall call, RunDone done) {
  std::vector<const Tensor*> inputs;
  for (const Tensor& tensor : call.inputs) {
    inputs.push_back(&tensor);
  }
  const Model& model = *call.servable->model;
  done(call.outputs.empty() ? model.run(*call.method, inputs, call.deadline)
                            : model.run(*call.method, inputs, call.outputs, call.deadline));
}

}  // namespace slip::serving
