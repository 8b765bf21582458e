// What serving adds to TensorFlow's own run: serving_bench TENSORFLOW_FOLDER MODEL_FOLDER
#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "core/error.h"
#include "serving/tfs/predict_json.h"

namespace {

using namespace slip::serving;
using Microseconds = std::chrono::duration<double, std::micro>;

/// Median and 99th percentile of `count` runs of fn, in microseconds.
template <class Fn>
void measure(const char* what, int count, Fn&& fn) {
  std::vector<double> times;
  for (int i = 0; i < count; ++i) {
    const auto start = Clock::now();
    fn();
    times.push_back(Microseconds(Clock::now() - start).count());
  }
  std::sort(times.begin(), times.end());
  std::printf("%-44s p50 %9.2f us   p99 %9.2f us\n", what, times[times.size() / 2], times[times.size() * 99 / 100]);
}

std::string numbers(int rows, int columns) {
  std::string body = R"({"instances":[)";
  for (int i = 0; i < rows * columns; ++i) {
    body +=
        (i == 0 ? "[" : (i % columns == 0 ? "],[" : ",")) + std::to_string(i % 1000) + "." + std::to_string(i % 7919);
  }
  return body + "]]}";
}

/// Milliseconds since `start`, printed.
void note(const char* what, Clock::time_point start) {
  std::printf("%-44s %9.2f ms\n", what, Microseconds(Clock::now() - start).count() / 1000);
}

void run(const char* tensorflow, const char* folder) {
  auto start = Clock::now();
  const TfApi& api = load_tensorflow(tensorflow);
  note("load TensorFlow", start);
  start = Clock::now();
  const auto model = Model::load(api, folder, {});
  note("load the model", start);
  if (!model) {
    throw slip::Error(slip::ErrorKind::Invalid, "load `{}`: {}", folder, model.error().message);
  }
  const std::string small = R"({"instances":[[1.0],[2.0],[5.0]]})";
  auto call = read_predict_json(**model, small);
  const Tensor* inputs[] = {&call->inputs[0]};
  auto outputs = (*model)->run(*call->method, inputs);
  measure("TF_SessionRun, 3 rows", 20000, [&] { outputs = (*model)->run(*call->method, inputs); });
  measure("read the request, 3 values", 20000, [&] { call = read_predict_json(**model, small); });
  measure("write the answer, 3 values", 20000,
          [&] { (void)write_predict_json(*call->method, *outputs, JsonForm::Row); });
  const std::string image = numbers(224, 224 * 3);
  std::printf("image: %zu bytes of JSON\n", image.size());
  measure("read 224x224x3 values", 50, [&] { call = read_predict_json(**model, image); });
  const Tensor* large[] = {&call->inputs[0]};
  outputs = (*model)->run(*call->method, large);
  measure("write 224x224x3 values", 50, [&] { (void)write_predict_json(*call->method, *outputs, JsonForm::Row); });
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fputs("usage: serving_bench TENSORFLOW_FOLDER MODEL_FOLDER\n", stderr);
    return 2;
  }
  try {
    run(argv[1], argv[2]);
  } catch (const slip::Error& error) {
    std::fprintf(stderr, "error: %s\n", error.joined().c_str());
    return 1;
  }
  std::fflush(nullptr);
  ::_Exit(0);  // TensorFlow's own threads outlive main()
}
