#include "serving/base/log.h"

#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <ctime>

#include "core/format.h"
#include "core/text.h"
#include "serving/json/out.h"

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

/// "listening: protocol REST, port 8501"
std::string as_text(std::string_view level, std::string_view event, const Log::Fields& fields) {
  std::string text = level == "info" ? "" : std::string(level) + ": ";
  text += event;
  const char* before = ": ";
  for (const auto& [name, value] : fields) {
    text += before + std::string(name) + " ";
    const auto* number = std::get_if<std::int64_t>(&value);
    text += number != nullptr ? std::to_string(*number) : printable(std::get<std::string>(value));
    before = ", ";
  }
  return text + "\n";
}

std::string as_json(std::string_view level, std::string_view event, const Log::Fields& fields) {
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
  return text + "}\n";
}

}  // namespace

void Log::line(std::string_view level, std::string_view event, const Fields& fields) noexcept try {
  const std::string text = form_ == Form::Json ? as_json(level, event, fields) : as_text(level, event, fields);
  const std::lock_guard lock(mutex_);
  [[maybe_unused]] const auto written = ::write(STDERR_FILENO, text.data(), text.size());
} catch (...) {
  // A line that cannot be written for want of memory must not end a request.
}

}  // namespace slip::serving
