#include "serving/json_out.h"

#include <charconv>
#include <cmath>
#include <utility>

namespace slip::serving {

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
