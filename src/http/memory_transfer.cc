#include "http/memory_transfer.h"

#include "core/text.h"
#include "http/failure.h"

namespace slip::http {

Step MemoryTransfer::next() {
  if (done_) {
    return {};
  }
  response_ = Response{};
  return {Step::Kind::Ask, {url_, headers_, true}, {}};
}

bool MemoryTransfer::begin(const Head& head) {
  // Content-Length counts the compressed bytes, so a larger one is too large whatever the encoding.
  too_large_ = head.length().value_or(0) > limit_;
  return !too_large_;
}

bool MemoryTransfer::bytes(ByteView bytes) {
  too_large_ = response_.body.size() + bytes.size() > limit_;
  if (!too_large_) {
    response_.body += as_text(bytes);
  }
  return !too_large_;
}

Millis MemoryTransfer::end(const Outcome& outcome) {
  const auto give_up = [&](Error error) -> Error {
    error.add_context(format("GET {}", place_of(outcome)));
    return error;
  };
  if (too_large_) {
    throw give_up(Error(ErrorKind::Invalid, "the answer is larger than {}", human_size(limit_)));
  }
  const bool last = ++failed_ >= options_.attempts;
  if (outcome.curl_code != 0) {
    Failure failure = transport_failure(options_, outcome, outcome.received, outcome.announced);
    if (last || !failure.again) {
      throw give_up(std::move(failure.error));
    }
    return backoff_.pause(failed_, std::nullopt);
  }
  if (!last && worth_retrying(outcome.head.status)) {
    const Failure failure = status_failure(outcome.head.status, outcome.head);
    if (failure.again) {
      return backoff_.pause(failed_, failure.retry_after);
    }
  }
  done_ = true;
  response_.status = outcome.head.status;
  response_.headers = outcome.head.headers;
  response_.url = outcome.effective_url;
  return Millis{0};
}

}  // namespace slip::http
