#include "serving/request_metrics.h"

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

}  // namespace slip::serving
