#pragma once

#include "http/engine.h"

namespace slip::http {

/// One try of an Exchange; whatever comes of it is kept.
class ExchangeTransfer final : public Transfer {
 public:
  ExchangeTransfer(const Options& options, const Exchange& exchange) : options_(options), exchange_(exchange) {}

  Step next() override;
  bool begin(const Head& head) override;
  bool bytes(ByteView bytes) override;
  Millis end(const Outcome& outcome) override;
  /// The result, after the loop.
  Attempt take() { return std::move(attempt_); }

 private:
  const Options& options_;
  const Exchange& exchange_;
  bool too_large_ = false;
  bool done_ = false;
  Attempt attempt_;
};

}  // namespace slip::http
