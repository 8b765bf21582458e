#include "model/compare.h"

#include <nlohmann/json.hpp>

#include "codec/json.h"
#include "core/count.h"
#include "core/text.h"
#include "image/plan.h"
#include "launch/sandbox.h"

namespace slip::model {
namespace {

using Json = nlohmann::json;

// Answers stay text until here, because REST writes NaN and Infinity, which only Python's reader takes.
constexpr const char* kCompare = R"(
import base64, json, sys
import numpy as np
import tensorflow as tf
def plain(value):
    if isinstance(value, dict):
        return base64.b64decode(value['b64'])
    return [plain(one) for one in value] if isinstance(value, list) else value
model = tf.saved_model.load('/model')
worst, equal, numbers = 0.0, True, 0
for exchange in json.load(sys.stdin):
    function = model.signatures[exchange['signature']]
    specs = function.structured_input_signature[1]
    inputs = {k: tf.constant(plain(v), dtype=specs[k].dtype) for k, v in json.loads(exchange['request'])['inputs'].items()}
    outputs = function(**inputs)
    answer = json.loads(exchange['answer'])['outputs']
    if len(outputs) == 1:
        answer = {next(iter(outputs)): answer}
    for name, tensor in outputs.items():
        want = tensor.numpy()
        if want.dtype.kind not in 'fiub':
            continue
        got = np.array(answer[name], dtype=want.dtype).reshape(want.shape)
        numbers += want.size
        if want.dtype.kind == 'f':
            equal = equal and np.array_equal(want, got, equal_nan=True)
            if want.size:
                gap = np.abs(want.astype('f8') - got.astype('f8')) / np.maximum(np.abs(want.astype('f8')), 1e-6)
                worst = max(worst, float(np.nanmax(np.where(want == got, 0.0, gap))))
        elif not np.array_equal(want, got):
            equal, worst = False, float('inf')
print('\n' + json.dumps({'worst': min(worst, 1e300), 'equal': bool(equal), 'numbers': int(numbers), 'tensorflow': tf.__version__}))
)";

}  // namespace

Finding compare_with_python(const std::vector<Exchange>& exchanges, const std::filesystem::path& saved_model,
                            const std::filesystem::path& workspace, lock::Context& context) {
  const std::string title = "its numbers are Python's";
  const std::string hint =
      "ship it with the lock that it was trained with; a model that draws random numbers cannot be compared";
  Json input = Json::array();
  for (const Exchange& e : exchanges) {
    if (Json::parse(e.request, nullptr, false).contains("inputs")) {
      input.push_back({{"signature", e.signature}, {"request", e.request}, {"answer", e.answer}});
    }
  }
  Task task(context.events, "Checking", "its numbers against Python's TensorFlow");
  const os::TempDir scratch = context.store.temp_dir("compare-");
  launch::Sandbox::Options options;
  options.lower = workspace;
  options.scratch = scratch.path();
  options.id = context.id;
  options.mounts = {{saved_model, "/model", true}};
  options.emulate_ownership = false;
  launch::Sandbox sandbox(std::move(options), context.events);
  const launch::SandboxRun ran =
      sandbox.run({format("{}/bin/python", std::string(image::kPrefix)), "-c", kCompare},
                  {{"TF_ENABLE_ONEDNN_OPTS", "0"}, {"TF_CPP_MIN_LOG_LEVEL", "2"}, {"CUDA_VISIBLE_DEVICES", "-1"}}, "/",
                  input.dump(-1, ' ', false, Json::error_handler_t::replace));
  const std::size_t line = ran.output.rfind("\n{");
  const Json answer = line == std::string::npos ? Json() : Json::parse(ran.output.substr(line + 1), nullptr, false);
  if (!ran.status.ok() || !answer.is_object()) {
    const auto lines = split(trim(ran.output), '\n');
    return amiss("python", title, format("Python could not run it: {}", printable(lines.back())),
                 "the same answers from Python", hint);
  }
  task.succeed();
  const double worst = answer.value("worst", 0.0);
  const auto numbers = answer.value("numbers", std::size_t{0});
  const std::string version = answer.value("tensorflow", "");
  if (answer.value("equal", false)) {
    return fine("python", title, format("{} equal to TensorFlow {}'s in Python", counted(numbers, "number"), version));
  }
  if (worst < 1e-5) {
    return fine(
        "python", title,
        format("{}, at most {:.1e} from TensorFlow {}'s in Python", counted(numbers, "number"), worst, version));
  }
  return amiss("python", title, format("they differ by up to {:.1e} of their size", worst), "at most 1e-5", hint);
}

}  // namespace slip::model
