#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace slip::serving {

/// Writes one line per event to standard error. Never holds a request's payload.
class Log {
 public:
  /// How lines look: one JSON object each, or words for a person who started the server by hand.
  enum class Form { Json, Text };
  explicit Log(Form form = Form::Json) noexcept : form_(form) {}

  using Value = std::variant<std::string, std::int64_t>;
  using Fields = std::vector<std::pair<std::string_view, Value>>;

  /// @param level  "info", "warning", "error"  @param event  what happened, in a few fixed words
  void line(std::string_view level, std::string_view event, const Fields& fields = {}) noexcept;
  void info(std::string_view event, const Fields& fields = {}) noexcept { line("info", event, fields); }
  void warning(std::string_view event, const Fields& fields = {}) noexcept { line("warning", event, fields); }

 private:
  const Form form_;
  std::mutex mutex_;
};

}  // namespace slip::serving
