#include "serving/json_out.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace slip::serving {
namespace {

/// %.{digits}g of a float whose decimal exponent is between -4 and 8; false: use the slow way.
///
/// A float has 24 bits and 10^12 = 5^12 * 2^12 has 28 odd ones, so their product is exact in a double and one rounding
/// to an integer gives the digits that printf gives.
bool append_general(std::string& out, float value, int exponent, int digits) {
  constexpr double kPowers[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12};
  if (exponent < -4 || exponent >= digits) {
    return false;
  }
  const long long scaled = std::llrint(std::fabs(static_cast<double>(value)) * kPowers[digits - 1 - exponent]);
  char buffer[32];
  const auto count = std::to_chars(buffer, buffer + sizeof buffer, scaled).ptr - buffer;
  if (count != digits) {
    return false;  // zero, or rounded up to the next power of ten
  }
  std::string_view text(buffer, static_cast<std::size_t>(count));
  const std::size_t last = text.find_last_not_of('0');
  const std::size_t whole = exponent < 0 ? 0 : static_cast<std::size_t>(exponent) + 1;
  if (std::signbit(value)) {
    out.push_back('-');
  }
  if (whole == 0) {
    out.append("0.0000", 1 - static_cast<std::size_t>(exponent));
    out.append(text.substr(0, last + 1));
    return true;
  }
  out.append(text.substr(0, whole));
  out.push_back('.');
  out.append(last < whole ? "0" : text.substr(whole, last + 1 - whole));
  return true;
}

bool append_general(std::string&, double, int, int) { return false; }

}  // namespace

void JsonOut::new_line() {
  out_.push_back('\n');
  out_.append(levels_.size() * indent_, ' ');
}

void JsonOut::prefix() {
  if (levels_.empty()) {
    return;
  }
  Level& level = levels_.back();
  if (level.array) {
    if (level.count > 0) {
      out_.push_back(',');
      if (single_line_) {
        out_.push_back(' ');
      }
    }
    if (!single_line_) {
      new_line();
    }
  } else if (level.count % 2 == 1) {
    out_ += ": ";
  } else {
    if (level.count > 0) {
      out_.push_back(',');
    }
    new_line();
  }
  ++level.count;
}

void JsonOut::begin_object() {
  prefix();
  levels_.push_back({false, 0});
  out_.push_back('{');
}

void JsonOut::end_object() {
  const bool empty = levels_.back().count == 0;
  levels_.pop_back();
  if (!empty) {
    new_line();
  }
  out_.push_back('}');
}

void JsonOut::begin_array() {
  prefix();
  levels_.push_back({true, 0});
  out_.push_back('[');
}

void JsonOut::end_array() {
  const bool empty = levels_.back().count == 0;
  levels_.pop_back();
  if (!empty && !single_line_) {
    new_line();
  }
  out_.push_back(']');
}

void JsonOut::key(std::string_view name) { string(name); }

void JsonOut::string(std::string_view text) {
  prefix();
  append_json_string(out_, text);
}

void JsonOut::boolean(bool value) {
  prefix();
  out_ += value ? "true" : "false";
}

void JsonOut::number(std::int64_t value) {
  prefix();
  char buffer[24];
  out_.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

void JsonOut::number(std::uint64_t value) {
  prefix();
  char buffer[24];
  out_.append(buffer, std::to_chars(buffer, buffer + sizeof buffer, value).ptr);
}

template <class T>
void JsonOut::write_decimal(T value, int digits) {
  prefix();
  if (!std::isfinite(value)) {
    out_ += std::isnan(value) ? "NaN" : (value < 0 ? "-Infinity" : "Infinity");
    return;
  }
  char buffer[40];
  char* end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific).ptr;
  // The shortest text that gives the value back has "d.ddddde±xx": six digits of it are what %g prints, because no
  // other number of six digits is as near to the value. More digits mean that %g would lose something.
  const char* e = buffer;
  while (*e != 'e') {
    ++e;
  }
  const bool six = e - buffer <= 7 + (buffer[0] == '-' ? 1 : 0);
  int exponent = 0;
  std::from_chars(e + (e[1] == '+' ? 2 : 1), end, exponent);
  if (append_general(out_, value, exponent, six ? 6 : digits)) {
    return;
  }
  end = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::general, six ? 6 : digits).ptr;
  const std::string_view text(buffer, static_cast<std::size_t>(end - buffer));
  out_ += text;
  if (text.find_first_of(".e") == std::string_view::npos) {
    out_ += ".0";
  }
}

void JsonOut::decimal(float value) { write_decimal(value, 9); }
void JsonOut::decimal(double value) { write_decimal(value, 17); }

void JsonOut::raw(std::string_view json) {
  prefix();
  out_ += json;
}

void append_json_string(std::string& out, std::string_view text) {
  constexpr char kHex[] = "0123456789ABCDEF";
  out.push_back('"');
  for (const char c : text) {
    switch (c) {
      case '"': out += "\\\""; break;
      case '\\': out += "\\\\"; break;
      case '\b': out += "\\b"; break;
      case '\f': out += "\\f"; break;
      case '\n': out += "\\n"; break;
      case '\r': out += "\\r"; break;
      case '\t': out += "\\t"; break;
      default:
        if (static_cast<unsigned char>(c) < 0x20) {
          out += "\\u00";
          out.push_back(kHex[c >> 4]);
          out.push_back(kHex[c & 15]);
        } else {
          out.push_back(c);
        }
    }
  }
  out.push_back('"');
}

std::string error_json(std::string_view message) {
  JsonOut out;
  out.begin_object();
  out.key("error");
  out.string(message);
  out.end_object();
  return out.take();
}

}  // namespace slip::serving
