#pragma once

#include "http/engine.h"

namespace slip::http {

/// A GET whose body is kept in memory.
class MemoryTransfer final : public Transfer {
 public:
  MemoryTransfer(const Options& options, Backoff& backoff, std::string url, std::map<std::string, std::string> headers,
                 std::uint64_t limit)
      : options_(options), backoff_(backoff), url_(std::move(url)), headers_(std::move(headers)), limit_(limit) {}

  Step next() override;
  bool begin(const Head& head) override;
  bool bytes(ByteView bytes) override;
  Millis end(const Outcome& outcome) override;
  /// The answer, after the loop.
  Response take() { return std::move(response_); }

 private:
  const Options& options_;
  Backoff& backoff_;
  std::string url_;
  std::map<std::string, std::string> headers_;
  std::uint64_t limit_;
  unsigned failed_ = 0;
  bool too_large_ = false;
  bool done_ = false;
  Response response_;
};

}  // namespace slip::http
