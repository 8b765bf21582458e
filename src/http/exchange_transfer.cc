#include "http/exchange_transfer.h"

#include <curl/curl.h>

#include "core/text.h"
#include "http/failure.h"

namespace slip::http {

Step ExchangeTransfer::next() {
  if (done_) {
    return {};
  }
  Step step{Step::Kind::Ask, {exchange_.url, exchange_.headers, false}, {}};
  step.request.follow = false;
  step.request.method = exchange_.method;
  step.request.body = exchange_.body;
  return step;
}

bool ExchangeTransfer::begin(const Head& head) {
  too_large_ = exchange_.method != "HEAD" && head.length().value_or(0) > exchange_.limit;
  return !too_large_;
}

bool ExchangeTransfer::bytes(ByteView bytes) {
  too_large_ = attempt_.response.body.size() + bytes.size() > exchange_.limit;
  if (!too_large_) {
    attempt_.response.body += as_text(bytes);
  }
  return !too_large_;
}

Millis ExchangeTransfer::end(const Outcome& outcome) {
  done_ = true;
  Response& response = attempt_.response;
  response.url = outcome.effective_url;
  if (too_large_) {
    Error error(ErrorKind::Invalid, "the answer is larger than {}", human_size(exchange_.limit));
    throw error.add_context(format("{} {}", exchange_.method, place_of(outcome)));
  }
  if (outcome.curl_code != 0) {
    Failure failure = transport_failure(options_, outcome, outcome.received, outcome.announced);
    attempt_.error = failure.error.add_context(format("{} {}", exchange_.method, place_of(outcome)));
    attempt_.again = failure.again;
    attempt_.not_tls = outcome.curl_code == CURLE_SSL_CONNECT_ERROR;
    response.body.clear();
    return Millis{0};
  }
  response.status = outcome.head.status;
  response.headers = outcome.head.headers;
  const Failure failure = status_failure(response.status, outcome.head);
  attempt_.again = response.status >= 400 && failure.again;
  attempt_.retry_after = failure.retry_after;
  return Millis{0};
}

}  // namespace slip::http
