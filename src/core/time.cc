#include "core/time.h"

#include <ctime>

#include "core/error.h"
#include "core/format.h"
#include "core/text.h"

namespace slip {
namespace {

/// The digits of `text`, all of it; nullopt when one is none.
std::optional<int> digits(std::string_view text) {
  int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') {
      return std::nullopt;
    }
    value = value * 10 + (c - '0');
  }
  return value;
}

/// "Z" or "+02:00" in seconds.
std::optional<int> offset(std::string_view text) {
  if (text == "Z" || text == "z") {
    return 0;
  }
  if (text.size() != 6 || (text[0] != '+' && text[0] != '-') || text[3] != ':') {
    return std::nullopt;
  }
  const auto hours = digits(text.substr(1, 2));
  const auto minutes = digits(text.substr(4));
  if (!hours || !minutes || *hours > 23 || *minutes > 59) {
    return std::nullopt;
  }
  return (text[0] == '-' ? -60 : 60) * (*hours * 60 + *minutes);
}

}  // namespace

std::string rfc3339(std::int64_t seconds) {
  const std::time_t time = seconds;
  std::tm utc{};
  ::gmtime_r(&time, &utc);
  return format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z", utc.tm_year + 1900, utc.tm_mon + 1, utc.tm_mday, utc.tm_hour,
                utc.tm_min, utc.tm_sec);
}

std::optional<std::int64_t> parse_rfc3339(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00";
  if (text.size() <= kShape.size()) {
    return std::nullopt;
  }
  std::string_view rest = text.substr(kShape.size());
  if (rest.front() == '.') {
    const std::size_t end = rest.find_first_not_of("0123456789", 1);
    if (end == 1 || end == std::string_view::npos) {
      return std::nullopt;
    }
    rest.remove_prefix(end);
  }
  const auto field = [&](std::size_t at, std::size_t size) { return digits(text.substr(at, size)).value_or(-1); };
  std::tm tm{};
  tm.tm_year = field(0, 4) - 1900;
  tm.tm_mon = field(5, 2) - 1;
  tm.tm_mday = field(8, 2);
  tm.tm_hour = field(11, 2);
  tm.tm_min = field(14, 2);
  tm.tm_sec = field(17, 2);
  const auto zone = offset(rest);
  const std::time_t time = ::timegm(&tm);
  // timegm takes the 31st of June for the 1st of July: only what it gives back unchanged was a time.
  std::string upper(text.substr(0, kShape.size()));
  upper[10] = upper[10] == 't' ? 'T' : upper[10];
  if (!zone || rfc3339(time).substr(0, kShape.size()) != upper) {
    return std::nullopt;
  }
  return time - *zone;
}

std::int64_t epoch_of(std::string_view text) {
  const auto time = parse_rfc3339(text);
  if (!time || rfc3339(*time) != text) {
    throw Error(ErrorKind::Invalid, "`{}` is not a time such as 2026-01-31T12:00:00Z", printable(text));
  }
  return *time;
}

}  // namespace slip
