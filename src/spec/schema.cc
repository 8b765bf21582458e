// What the key table says, for machines (JSON schema) and for people (docs/reference/spec.md).
#include "spec/schema.h"

#include <nlohmann/json.hpp>

#include "core/format.h"
#include "spec/keys.h"
#include "spec/spec.h"

namespace slip::spec {
namespace {

using Json = nlohmann::ordered_json;  // in the table's order, which is the one to read in

/// Scalars are taken as written, so `3.9` and `8` without quotes are texts too.
Json text_schema(const Key& key) {
  if (key.pattern.empty()) {
    return {{"type", {"string", "number", "boolean"}}};
  }
  return {{"type", {"string", "number"}}, {"pattern", key.pattern}};
}

Json table_schema(std::span<const Key> keys, bool variant);

Json shape_schema(const Key& key) {
  const Json texts = {{"type", "array"}, {"items", text_schema(key)}};
  switch (key.shape) {
    case Shape::Text: return text_schema(key);
    case Shape::Flag: return {{"type", "boolean"}};
    case Shape::Size:
      return {{"type", {"string", "integer"}}, {"pattern", "^[0-9]+(\\.[0-9]+)? *([KkMmGgTt]([Ii])?)?[Bb]?$"}};
    case Shape::Number: return {{"type", "number"}, {"exclusiveMinimum", 0}};
    case Shape::Count: return {{"type", "integer"}, {"minimum", 1}};
    case Shape::TextList: return texts;
    case Shape::TextMap: return {{"type", "object"}, {"additionalProperties", text_schema(key)}};
    case Shape::Requirements:
      return {{"oneOf", {{{"type", "string"}}, {{"type", "array"}, {"items", {{"type", "string"}}}}}}};
    case Shape::ListOrFalse: return {{"oneOf", {{{"const", false}}, texts}}};
    case Shape::Steps:
      return {{"type", "array"}, {"items", {{"oneOf", {{{"type", "string"}}, table_schema(key.nested, false)}}}}};
    case Shape::Table:
    case Shape::OnTable: return table_schema(key.nested, false);
    case Shape::Variants: return {{"type", "object"}, {"additionalProperties", {{"$ref", "#/$defs/variant"}}}};
  }
  return {};
}

/// Nothing behind a key (`apt:`) counts as the key not being there.
Json or_null(Json schema) {
  if (schema.contains("type")) {
    if (schema["type"].is_string()) {
      schema["type"] = Json::array({schema["type"]});
    }
    schema["type"].push_back("null");
  } else {
    schema["oneOf"].push_back({{"type", "null"}});
  }
  return schema;
}

Json key_schema(const Key& key) {
  Json out = {{"description", key.doc}};
  const Json shape = or_null(shape_schema(key));
  for (const auto& [name, value] : shape.items()) {
    out[name] = value;
  }
  return out;
}

Json table_schema(std::span<const Key> keys, bool variant) {
  Json properties = Json::object();
  Json required = Json::array();
  for (const Key& key : keys) {
    if (variant && key.shape == Shape::Variants) {
      continue;
    }
    properties[std::string(key.name)] = key.required ? shape_schema(key) : key_schema(key);
    if (key.required) {
      properties[std::string(key.name)]["description"] = key.doc;
      required.push_back(key.name);
    }
  }
  Json out = {{"type", "object"}, {"additionalProperties", false}, {"properties", properties}};
  if (!required.empty() && !variant) {
    out["required"] = required;
  }
  return out;
}

void list_keys(std::string& out, std::span<const Key> keys, const std::string& prefix) {
  for (const Key& key : keys) {
    out += format("\n{} `{}{}`\n\n{}\n\n", prefix.empty() ? "##" : "###", prefix, key.name, key.doc);
    out += format("- Takes: {}\n", words_for(key.shape));
    if (key.required) {
      out += "- Required\n";
    } else if (!key.fallback.empty()) {
      out += format("- Default: {}\n", key.fallback);
    }
    if (!key.pattern.empty()) {
      out += format("- Form: `{}`\n", key.pattern);
    }
    out += format("\n```yaml\n{}\n```\n", key.example);
    list_keys(out, key.nested, prefix + std::string(key.name) + ".");
  }
}

}  // namespace

std::string json_schema() {
  Json out = {
      {"$schema", "https://json-schema.org/draft/2020-12/schema"},
      {"title", "slipway.yaml"},
      {"description",
       "One environment: what is in it and how it runs. `slipway lock` pins it, `slipway build` makes the image."}};
  const Json top = table_schema(top_keys(), false);
  for (const auto& [name, value] : top.items()) {
    out[name] = value;
  }
  out["$defs"] = {{"variant", or_null(table_schema(top_keys(), true))}};
  return out.dump(2) + "\n";
}

std::string spec_reference() {
  std::string out =
      "# slipway.yaml\n\n<!-- Made from the key table in src/spec/keys.cc; `SLIPWAY_ACCEPT=1 ctest -R Reference` "
      "rewrites it. -->\n\n"
      "The keys of a spec. All but `name` may be left out; unknown keys and wrong types are errors that show the line. "
      "Anchors,\n"
      "aliases and tags of YAML are not read. The same as a JSON schema (draft 2020-12): "
      "[slipway.schema.json](slipway.schema.json).\n";
  list_keys(out, top_keys(), "");
  return out;
}

}  // namespace slip::spec
