#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include <nlohmann/json_fwd.hpp>

namespace slip::codec {

/// Keeps the order of keys, so that documents we digest come out as we wrote them.
using Json = nlohmann::ordered_json;

struct JsonLimits {
  std::size_t max_size = 64u << 20;  ///< bytes
  std::size_t max_depth = 64;
};

/// Reads a document. `name` stands in messages. @throws Error Invalid "NAME:LINE:COLUMN: …"
Json parse_json(std::string_view text, std::string_view name, const JsonLimits& limits = {});

/// The text of a digested document: no white space, keys in their order, UTF-8 as it is. Same value, same bytes.
/// @throws Error Internal for a floating-point number (its text is not canonical) or invalid UTF-8
std::string dump_canonical(const Json& json);

}  // namespace slip::codec
