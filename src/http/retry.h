#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <random>
#include <string_view>

namespace slip::http {

using Millis = std::chrono::milliseconds;

/// A server that wants us back later than this is not waited for.
constexpr Millis kLongestRetryAfter{120'000};

/// How long to wait before a try: doubling pauses of which the second half is random, so that many clients which
/// failed together do not come back together.
class Backoff {
 public:
  /// @param seed  of the jitter; 0 takes one from the system
  Backoff(Millis first, Millis longest, std::uint64_t seed);
  /// @param failed      tries that failed so far, at least 1
  /// @param retry_after what the server asked for; never undercut
  Millis pause(unsigned failed, std::optional<Millis> retry_after);

 private:
  Millis first_;
  Millis longest_;
  std::mt19937_64 random_;
};

/// The pause that a Retry-After field asks for: seconds or a date. nullopt when it is neither.
/// @param now  seconds since 1970
/// @source RFC 9110 section 10.2.3
std::optional<Millis> parse_retry_after(std::string_view value, std::int64_t now);

/// True for answers that another try may change: 408, 429 and most of 5xx.
bool worth_retrying(int status) noexcept;

}  // namespace slip::http
