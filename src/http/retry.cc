#include "http/retry.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <string>

#include "core/text.h"

namespace slip::http {

Backoff::Backoff(Millis first, Millis longest, std::uint64_t seed)
    : first_(first), longest_(longest), random_(seed != 0 ? seed : std::random_device{}()) {}

Millis Backoff::pause(unsigned failed, std::optional<Millis> retry_after) {
  const unsigned doublings = std::min(failed > 0 ? failed - 1 : 0, 20U);
  const Millis whole = std::min(longest_, first_ * (std::int64_t{1} << doublings));
  const auto half = whole.count() / 2;
  const Millis chosen{half + std::uniform_int_distribution<std::int64_t>(0, whole.count() - half)(random_)};
  return std::max(chosen, retry_after.value_or(Millis{0}));
}

std::optional<Millis> parse_retry_after(std::string_view value, std::int64_t now) {
  const std::string text(trim(value));
  if (text.empty()) {
    return std::nullopt;
  }
  std::int64_t seconds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc() || end != text.data() + text.size()) {
    const std::int64_t date = curl_getdate(text.c_str(), nullptr);
    if (date < 0) {
      return std::nullopt;
    }
    seconds = date - now;
  }
  constexpr std::int64_t kDay = 86'400;
  return Millis{std::clamp<std::int64_t>(seconds, 0, kDay) * 1000};
}

bool worth_retrying(int status) noexcept {
  return status == 408 || status == 425 || status == 429 || (status >= 500 && status != 501 && status != 505);
}

}  // namespace slip::http
