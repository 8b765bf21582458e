#include "model/features.h"

#include <algorithm>
#include <set>

#include "core/format.h"
#include "serving/proto/wire.h"

namespace slip::model {
namespace {

using serving::DataType;
using serving::WireReader;
using Type = WireReader::Type;

constexpr std::string_view kParse = "ParseExample";
constexpr std::size_t kMostConstant = 1U << 20U;  // bytes of a constant that may hold names

/// "tf_example:0", "parse/Identity:output:0" → the node or argument that it comes from; empty for control inputs.
std::string source_of(std::string_view tensor) {
  return tensor.starts_with('^') ? std::string() : std::string(tensor.substr(0, tensor.find(':')));
}

/// Operations whose first input is, for an example, their output.
bool passes_on(const std::string& op) { return op == "Identity" || op == "Reshape" || op == "PlaceholderWithDefault"; }

DataType type_from(std::uint64_t number) { return static_cast<DataType>(static_cast<int>(number)); }

bool read_shape(std::string_view bytes, serving::Shape& shape) {
  WireReader r(bytes);
  bool ok = true;
  while (ok && r.next()) {
    if (r.is(2, Type::Bytes)) {
      WireReader dimension(r.bytes());
      shape.push_back(0);
      while (dimension.next()) {
        if (dimension.is(1, Type::Varint)) {
          shape.back() = dimension.signed_number();
        }
      }
      ok = dimension.ok();
    }
  }
  return ok && r.ok();
}

/// The list of an attribute: types and shapes.
bool read_list(std::string_view bytes, std::vector<DataType>& types, std::vector<serving::Shape>& shapes) {
  WireReader r(bytes);
  bool ok = true;
  while (ok && r.next()) {
    if (r.is(6, Type::Varint)) {
      types.push_back(type_from(r.number()));
    } else if (r.is(6, Type::Bytes)) {
      std::string_view packed = r.bytes();
      while (ok && !packed.empty()) {
        const auto type = WireReader::take_varint(packed);
        ok = type.has_value();
        types.push_back(type_from(type.value_or(0)));
      }
    } else if (r.is(7, Type::Bytes)) {
      ok = read_shape(r.bytes(), shapes.emplace_back());
    }
  }
  return ok && r.ok();
}

/// The texts of a TensorProto of strings; none for another type.
bool read_texts(std::string_view bytes, std::vector<std::string>& texts) {
  WireReader r(bytes);
  std::vector<std::string> found;
  bool strings = false;
  while (r.next()) {
    if (r.is(1, Type::Varint)) {
      strings = type_from(r.number()) == DataType::String;
    } else if (r.is(8, Type::Bytes)) {
      found.emplace_back(r.bytes());
    }
  }
  if (strings) {
    texts = std::move(found);
  }
  return r.ok();
}

std::string name_in(std::string_view function_attribute) {
  WireReader r(function_attribute);
  std::string name;
  while (r.next()) {
    if (r.is(1, Type::Bytes)) {
      name = r.bytes();
    }
  }
  return name;
}

}  // namespace

std::string text_of(const Feature& feature) {
  return serving::name_of(feature.type) +
         (feature.any_number ? std::string(", any number") : serving::to_string(feature.shape));
}

bool ExampleGraph::read_attribute(std::string_view bytes, Node& node, std::vector<std::string>& texts) {
  const auto entry = serving::WireEntry::read(bytes);
  if (!entry) {
    return false;
  }
  const std::string_view key = entry->key;
  WireReader v(entry->value);
  bool ok = true;
  while (ok && v.next()) {
    std::vector<DataType> types;
    std::vector<serving::Shape> shapes;
    if (v.is(1, Type::Bytes)) {
      ok = read_list(v.bytes(), types, shapes);
      if (key == "dense_shapes") {
        node.dense_shapes = std::move(shapes);
      } else if (key == "Tdense") {
        node.dense_types = std::move(types);
      } else if (key == "sparse_types") {
        node.sparse_types = std::move(types);
      } else if (key == "ragged_value_types") {
        node.ragged_types = std::move(types);
      }
    } else if (v.is(8, Type::Bytes) && key == "value" && v.bytes().size() <= kMostConstant) {
      ok = read_texts(v.bytes(), texts);
    } else if (v.is(10, Type::Bytes) && key == "f") {
      node.function = name_in(v.bytes());
    }
  }
  return ok && v.ok();
}

bool ExampleGraph::add_node(const std::string& function, std::string_view bytes) {
  WireReader r(bytes);
  Node node;
  std::vector<std::string> texts;
  bool ok = true;
  while (ok && r.next()) {
    if (r.is(1, Type::Bytes)) {
      node.name = r.bytes();
    } else if (r.is(2, Type::Bytes)) {
      node.op = r.bytes();
    } else if (r.is(3, Type::Bytes)) {
      node.inputs.push_back(source_of(r.bytes()));
    } else if (r.is(5, Type::Bytes)) {
      ok = read_attribute(r.bytes(), node, texts);
    }
  }
  Scope& scope = scopes_[function];
  if (node.op == "Const") {
    if (!texts.empty()) {
      scope.texts[node.name] = std::move(texts);
    }
  } else if (passes_on(node.op) || !node.function.empty() || node.op.starts_with(kParse)) {
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      scope.readers[node.inputs[i]].push_back({scope.nodes.size(), i});
    }
    scope.nodes.push_back(std::move(node));
  }
  return ok && r.ok();
}

void ExampleGraph::add_function(const std::string& function, std::vector<std::string> arguments) {
  scopes_[function].arguments = std::move(arguments);
}

std::optional<std::vector<Feature>> ExampleGraph::features_of(const Scope& scope, const Node& node) {
  // Behind the examples and their names come the keys: one input each, or, in the second version, one for all of a
  // kind.
  std::size_t input = 2;
  const auto keys = [&](std::size_t count, bool together) -> std::vector<std::string> {
    std::vector<std::string> all;
    for (std::size_t i = 0; i < (together ? 1 : count) && input < node.inputs.size(); ++i, ++input) {
      const auto text = scope.texts.find(node.inputs[input]);
      if (text != scope.texts.end()) {
        all.insert(all.end(), text->second.begin(), text->second.end());
      }
    }
    return all;
  };
  const bool together = node.op == "ParseExampleV2";
  const std::vector<std::string> sparse = keys(node.sparse_types.size(), together);
  const std::vector<std::string> dense = keys(node.dense_types.size(), together);
  const std::vector<std::string> ragged = together ? keys(1, true) : std::vector<std::string>();
  if (sparse.size() != node.sparse_types.size() || dense.size() != node.dense_types.size() ||
      dense.size() != node.dense_shapes.size() || ragged.size() != node.ragged_types.size()) {
    return std::nullopt;
  }
  std::vector<Feature> features;
  for (std::size_t i = 0; i < dense.size(); ++i) {
    features.push_back({dense[i], node.dense_types[i], node.dense_shapes[i], false});
  }
  for (std::size_t i = 0; i < sparse.size(); ++i) {
    features.push_back({sparse[i], node.sparse_types[i], {}, true});
  }
  for (std::size_t i = 0; i < ragged.size(); ++i) {
    features.push_back({ragged[i], node.ragged_types[i], {}, true});
  }
  const auto parsed = [](const Feature& f) {
    return f.type == DataType::Float || f.type == DataType::Int64 || f.type == DataType::String;
  };
  return std::ranges::all_of(features, parsed) ? std::optional(std::move(features)) : std::nullopt;
}

std::vector<Feature> ExampleGraph::parsed_from(const std::string& tensor) const {
  using Place = std::pair<std::string, std::string>;  // a function and what in it holds the examples
  std::vector<Place> open = {{std::string(), source_of(tensor)}};
  std::set<Place> seen(open.begin(), open.end());
  std::map<std::string, Feature> found;
  const auto go_on = [&](Place place) {
    if (seen.insert(place).second) {
      open.push_back(std::move(place));
    }
  };
  while (!open.empty()) {
    const auto [function, source] = open.back();
    open.pop_back();
    const auto scope = scopes_.find(function);
    if (scope == scopes_.end()) {
      continue;
    }
    const auto readers = scope->second.readers.find(source);
    if (readers == scope->second.readers.end()) {
      continue;
    }
    for (const auto& [index, input] : readers->second) {
      const Node& node = scope->second.nodes[index];
      if (const auto called = scopes_.find(node.function); !node.function.empty() && called != scopes_.end()) {
        const std::vector<std::string>& arguments = called->second.arguments;
        if (input < arguments.size()) {
          go_on({node.function, arguments[input]});
        }
      } else if (input == 0 && passes_on(node.op)) {
        go_on({function, node.name});
      } else if (input == 0 && node.op.starts_with(kParse)) {
        for (Feature& feature : features_of(scope->second, node).value_or(std::vector<Feature>())) {
          found.emplace(feature.name, std::move(feature));
        }
      }
    }
  }
  std::vector<Feature> features;
  for (auto& [name, feature] : found) {
    features.push_back(std::move(feature));
  }
  return features;
}

}  // namespace slip::model
