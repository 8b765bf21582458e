#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <mutex>

#include "serving/base/deadline.h"

namespace slip::serving {

/// What became of the requests to one version since it was loaded, warm-up left out. Every function: any thread.
/// @source triton-inference-server/server docs/protocol/extension_statistics.md
class Statistics {
 public:
  /// How often something happened and how long it took in all.
  struct Total {
    std::uint64_t count = 0;
    std::uint64_t ns = 0;
  };
  struct Snapshot {
    std::uint64_t last_request_ms = 0;      ///< since 1970, when the last request was answered; 0: none was
    Total success;                          ///< requests, from their tensors to their outputs
    Total fail;                             ///< the same of those that failed
    Total queue;                            ///< waiting for a batch
    Total compute;                          ///< successful runs, once for each request that took part
    std::uint64_t inferences = 0;           ///< that succeeded: rows where requests run in batches, else requests
    std::uint64_t executions = 0;           ///< runs that succeeded
    std::map<std::int64_t, Total> batches;  ///< runs by their rows, where requests run in batches
  };
  /// What one run answered.
  struct Share {
    std::uint64_t requests = 1;
    std::uint64_t inferences = 1;
    std::int64_t batch = 0;  ///< rows that ran, padding included; 0: not in a batch
  };

  void note_request(bool succeeded, Clock::duration took);
  void note_queue(Clock::duration waited);
  void note_run(const Share& share, Clock::duration took);
  [[nodiscard]] Snapshot snapshot() const;

  /// Sizes of batches told apart; clients choose them.
  static constexpr std::size_t kMostSizes = 2000;

 private:
  mutable std::mutex mutex_;
  Snapshot now_;
};

}  // namespace slip::serving
