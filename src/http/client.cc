#include "http/client.h"

#include <algorithm>
#include <cstring>

#include "http/exchange_transfer.h"
#include "http/file_transfer.h"
#include "http/memory_transfer.h"

namespace slip::http {

struct Client::State {
  State(Options options_in, Events& events_in)
      : options(std::move(options_in)),
        events(events_in),
        backoff(options.first_pause, options.longest_pause, options.seed),
        engine(options) {}

  Options options;
  Events& events;
  Backoff backoff;
  Engine engine;
};

std::size_t TextBody::read(std::span<std::uint8_t> into) {
  const std::size_t count = std::min(into.size(), text_.size() - at_);
  std::memcpy(into.data(), text_.data() + at_, count);
  at_ += count;
  return count;
}

Client::Client(Options options, Events& events) : state_(std::make_unique<State>(std::move(options), events)) {}
Client::~Client() = default;

Response Client::get(const std::string& url, const std::map<std::string, std::string>& headers, std::uint64_t limit) {
  return std::move(get_all(std::span(&url, 1), headers, limit).front());
}

std::vector<Response> Client::get_all(std::span<const std::string> urls,
                                      const std::map<std::string, std::string>& headers, std::uint64_t limit) {
  std::vector<std::unique_ptr<Transfer>> transfers;
  std::vector<MemoryTransfer*> results;
  for (const std::string& url : urls) {
    auto transfer = std::make_unique<MemoryTransfer>(state_->options, state_->backoff, url, headers, limit);
    results.push_back(transfer.get());
    transfers.push_back(std::move(transfer));
  }
  state_->engine.run(transfers, true);
  std::vector<Response> responses;
  for (MemoryTransfer* result : results) {
    responses.push_back(result->take());
  }
  return responses;
}

Attempt Client::attempt(const Exchange& exchange) {
  std::vector<std::unique_ptr<Transfer>> transfers;
  auto transfer = std::make_unique<ExchangeTransfer>(state_->options, exchange);
  ExchangeTransfer& result = *transfer;
  transfers.push_back(std::move(transfer));
  state_->engine.run(transfers, false);
  return result.take();
}

void Client::download(std::span<const Download> files, TaskId parent) {
  std::uint64_t total = 0;
  bool known = true;
  for (const Download& file : files) {
    total += file.size.value_or(0);
    known = known && file.size.has_value();
  }
  constexpr std::uint64_t kWorthABar = 1U << 20;
  Together together(state_->events, parent, known && total >= kWorthABar ? total : 0);
  std::vector<std::unique_ptr<Transfer>> transfers;
  for (const Download& file : files) {
    transfers.push_back(
        std::make_unique<FileTransfer>(state_->options, state_->backoff, state_->events, parent, together, file));
  }
  state_->engine.run(transfers, false);
}

}  // namespace slip::http
