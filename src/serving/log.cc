#include "serving/log.h"

#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "core/format.h"
#include "serving/json_out.h"

namespace slip::serving {
namespace {

/// "2026-01-31T12:00:00.123Z"
std::string utc_now() {
  timeval now{};
  ::gettimeofday(&now, nullptr);
  tm parts{};
  ::gmtime_r(&now.tv_sec, &parts);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%S", &parts);
  return format("{}.{:03}Z", text.data(), now.tv_usec / 1000);
}

}  // namespace

void Log::line(std::string_view level, std::string_view event, const Fields& fields) noexcept try {
  std::string text = "{\"time\":\"" + utc_now() + "\",\"level\":\"" + std::string(level) + "\",\"event\":";
  append_json_string(text, event);
  for (const auto& [name, value] : fields) {
    text += ",";
    append_json_string(text, name);
    text += ":";
    if (const auto* number = std::get_if<std::int64_t>(&value)) {
      text += std::to_string(*number);
    } else {
      append_json_string(text, std::get<std::string>(value));
    }
  }
  text += "}\n";
  const std::lock_guard lock(mutex_);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
} catch (...) {
  // A line that cannot be written for want of memory must not end a request.
}

}  // namespace slip::serving
