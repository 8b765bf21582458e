#include "workspace/companions.h"

#include <poll.h>

#include "workspace/record.h"

namespace slip::workspace {
namespace {

constexpr std::size_t kMostRevivals = 5;
constexpr auto kWindow = std::chrono::minutes(1);

bool has_ended(const std::optional<os::Child>& child) {
  if (!child) {
    return false;
  }
  pollfd end{child->pidfd().get(), POLLIN, 0};
  return ::poll(&end, 1, 0) == 1;
}

}  // namespace

void Companions::forward(std::vector<launch::Forward> forwards) {
  forwards_ = std::move(forwards);
  if (!forwards_.empty()) {
    start_forwarder();
  }
}

void Companions::let_out(const launch::Outbound& outbound) {
  outbound_ = outbound;
  start_outbound();
}

void Companions::start_forwarder() { forwarder_.emplace(launch::start_forwarder(forwards_, target_, id_)); }

void Companions::start_outbound() {
  // The one before held the port.
  gateway_.reset();
  gateway_.emplace(launch::start_outbound(*outbound_, kOutboundPort, target_, id_));
}

std::vector<int> Companions::pidfds() const {
  std::vector<int> fds;
  for (const auto* child : {&forwarder_, &gateway_}) {
    if (*child) {
      fds.push_back((*child)->pidfd().get());
    }
  }
  return fds;
}

bool Companions::may_start() {
  const auto now = std::chrono::steady_clock::now();
  std::erase_if(revived_, [&](const auto& time) { return now - time > kWindow; });
  revived_.push_back(now);
  return revived_.size() <= kMostRevivals;
}

bool Companions::revive() {
  if (has_ended(forwarder_)) {
    if (!may_start()) {
      return false;
    }
    start_forwarder();
  }
  if (has_ended(gateway_)) {
    if (!may_start()) {
      return false;
    }
    start_outbound();
  }
  return true;
}

}  // namespace slip::workspace
