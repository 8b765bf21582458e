#include "serving/base/request_metrics.h"

namespace slip::serving {

void note_request(Metrics& metrics, std::string_view model, Code code, std::string_view api,
                  std::string_view entrypoint, Clock::time_point start) {
  metrics.counter(":tensorflow:serving:request_count", {{"model_name", model}, {"status", name_of(code)}})
      .fetch_add(1, std::memory_order_relaxed);
  if (code == Code::Ok) {
    const std::chrono::duration<double, std::micro> took = Clock::now() - start;
    metrics
        .latency(":tensorflow:serving:request_latency",
                 {{"model_name", model}, {"API", api}, {"entrypoint", entrypoint}})
        .observe(took.count());
  }
}

void note_examples(Metrics& metrics, std::string_view model, std::size_t count) {
  metrics.histogram(":tensorflow:serving:request_example_counts", {{"model", model}}, 1, 2, 15)
      .observe(static_cast<double>(count));
  metrics.counter(":tensorflow:serving:request_example_count_total", {{"model", model}})
      .fetch_add(count, std::memory_order_relaxed);
}

}  // namespace slip::serving
