#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "serving/base/status.h"

namespace slip::serving {

/// @source TensorFlow Serving 2.9, session_bundle_config.proto (BatchingParameters) and its defaults
struct BatchSettings {
  std::int64_t max_batch_size = 1000;             ///< rows
  std::int64_t batch_timeout_micros = 0;          ///< how long the first request of a batch waits for others
  std::int64_t max_enqueued_batches = 64;         ///< per queue; beyond that requests are refused at once
  std::int64_t num_batch_threads = 0;             ///< 0: one per core
  std::vector<std::int64_t> allowed_batch_sizes;  ///< ascending; batches are padded up to the next; empty: any
  bool pad_variable_length_inputs = false;        ///< requests whose inner sizes differ share a batch, padded
  bool enable_large_batch_splitting = false;      ///< a request of more rows than one batch runs in several
  std::int64_t max_execution_batch_size = 0;      ///< rows that run at once, with splitting; 0: max_batch_size
  std::string thread_pool_name = "batch";         ///< names the row of the queueing metrics

  /// Rows that run at once.
  [[nodiscard]] std::int64_t most_rows() const noexcept {
    return enable_large_batch_splitting && max_execution_batch_size > 0 ? max_execution_batch_size : max_batch_size;
  }
};

/// Reads a batching parameters file in text format.
Result<BatchSettings> read_batch_settings(std::string_view text);

}  // namespace slip::serving
