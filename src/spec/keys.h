#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "spec/node.h"

namespace slip::spec {

/// What may stand behind a key.
enum class Shape : std::uint8_t {
  Text,          ///< a word, a number, a version: kept as written
  Flag,          ///< true or false
  Size,          ///< "8GiB"
  Number,        ///< above 0, may have a fraction
  Count,         ///< a whole number above 0
  TextList,      ///< list of texts
  TextMap,       ///< texts by texts
  Requirements,  ///< path of a requirements file, or a list of requirements
  Steps,         ///< list of commands, each a text or a table
  ListOrFalse,   ///< list of texts, or false
  Table,         ///< the keys of `nested`
  OnTable,       ///< the keys of `nested`; being named is what counts, so an empty one (or nothing) is meaningful
  Variants,      ///< tables of the top-level keys by name
};

/// One key of slipway.yaml. This table is the only place that knows which keys there are: it checks what is parsed,
/// gives the suggestions, and becomes the JSON schema and docs/reference/spec.md.
struct Key {
  std::string_view name;
  Shape shape;
  std::string_view doc;           ///< sentences
  std::string_view fallback;      ///< the default, for people
  std::string_view example;       ///< YAML of one line
  std::string_view pattern = {};  ///< of a text, for the schema (the validator says it in words)
  std::span<const Key> nested = {};
  bool required = false;
};

/// The keys of the document's top level.
std::span<const Key> top_keys();

/// "a list of texts": what a shape wants, for messages and the reference.
std::string_view words_for(Shape shape);

/// Checks that `node` has only the keys of the table and that each value has its shape.
/// @throws Error Invalid with place, caret and the nearest key
void check_keys(const SourceText& source, const Node& node, std::span<const Key> table);

}  // namespace slip::spec
