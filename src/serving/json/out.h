#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace slip::serving {

/// Writes JSON with the blanks that clients of TensorFlow Serving see: its REST answers come from RapidJSON's
/// PrettyWriter (4 blanks), status and metadata from protobuf's (1 blank). Some arrays stay on one line.
class JsonOut {
 public:
  explicit JsonOut(unsigned indent = 4) noexcept : indent_(indent) {}

  void begin_object();
  void end_object();
  void begin_array();
  void end_array();
  void key(std::string_view name);
  void string(std::string_view text);
  void boolean(bool value);
  void number(std::int64_t value);
  void number(std::uint64_t value);
  /// %g when that gives the value back, else %.9g; ".0" behind whole numbers; NaN, Infinity and -Infinity bare.
  void decimal(float value);
  /// As for float with %.17g.
  void decimal(double value);
  /// Further elements of the open array.
  void decimals(const float* values, std::size_t count);
  void decimals(const double* values, std::size_t count);
  /// Written as it is: a value that is JSON already.
  void raw(std::string_view json);
  /// From here on arrays are written on one line.
  void single_line(bool on) noexcept { single_line_ = on; }

  [[nodiscard]] std::string take() noexcept { return std::move(out_); }

 private:
  struct Level {
    bool array;
    unsigned count;
  };
  void prefix();
  void new_line();
  template <class T>
  void write_decimal(T value);
  template <class T>
  void write_decimals(const T* values, std::size_t count);

  std::string out_;
  std::vector<Level> levels_;
  unsigned indent_;
  bool single_line_ = false;
};

/// `text` in quotes, escaped as RapidJSON does.
void append_json_string(std::string& out, std::string_view text);

/// `{ "error": "…" }` as TensorFlow Serving writes it.
std::string error_json(std::string_view message);

}  // namespace slip::serving
