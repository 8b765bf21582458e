#include "codec/json.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "core/error.h"

namespace slip::codec {
namespace {

[[noreturn]] void fail_at(std::string_view text, std::string_view name, std::size_t byte, const std::string& what) {
  const std::string_view before = text.substr(0, std::min(byte, text.size()));
  const auto line = 1 + std::count(before.begin(), before.end(), '\n');
  const std::size_t start = before.rfind('\n');
  const std::size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  throw Error(ErrorKind::Invalid, "{}:{}:{}: {}", name, line, column, what);
}

/// Position of the bracket that nests too deeply; npos when none does. The parser would recurse for each.
std::size_t too_deep(std::string_view text, std::size_t limit) {
  std::size_t depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted) {
      if (c == '\\') {
        ++i;
      } else if (c == '"') {
        quoted = false;
      }
    } else if (c == '"') {
      quoted = true;
    } else if (c == '[' || c == '{') {
      if (++depth > limit) {
        return i;
      }
    } else if ((c == ']' || c == '}') && depth > 0) {
      --depth;
    }
  }
  return std::string_view::npos;
}

void refuse_floats(const Json& json) {
  if (json.is_number_float()) {
    throw Error(ErrorKind::Internal, "a digested document must not hold the floating-point number {}", json.dump());
  }
  if (json.is_structured()) {
    for (const Json& inner : json) {
      refuse_floats(inner);
    }
  }
}

}  // namespace

Json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits) {
  if (text.size() > limits.max_size) {
    throw Error(ErrorKind::Invalid, "{}: {} bytes are more than the {} that are allowed", name, text.size(),
                limits.max_size);
  }
  if (const std::size_t at = too_deep(text, limits.max_depth); at != std::string_view::npos) {
    fail_at(text, name, at, format("nested more than {} deep", limits.max_depth));
  }
  try {
    return Json::parse(text);
  } catch (const Json::parse_error& e) {
    fail_at(text, name, e.byte == 0 ? 0 : e.byte - 1, "not valid JSON");
  } catch (const Json::exception&) {
    throw Error(ErrorKind::Invalid, "{}: it holds a number that is too large", name);  // such as 1e999
  }
}

std::string dump_canonical(const Json& json) {
  refuse_floats(json);
  try {
    return json.dump(-1, ' ', false, Json::error_handler_t::strict);
  } catch (const Json::exception& e) {
    throw Error(ErrorKind::Internal, "write a digested document: {}", std::string(e.what()));
  }
}

}  // namespace slip::codec
