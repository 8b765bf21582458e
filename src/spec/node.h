#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "spec/source.h"

namespace slip::spec {

/// A YAML value with its place. Scalars keep their text: `3.10` is "3.10", and what it means is the key table's matter.
struct Node {
  enum class Kind : std::uint8_t { Null, Scalar, List, Map };
  // Out of line: within the class its own members are not complete yet, and clang asks for them.
  Node();
  Node(const Node&);
  Node(Node&&) noexcept;
  Node& operator=(const Node&);
  Node& operator=(Node&&) noexcept;
  ~Node();
  Kind kind = Kind::Null;
  bool quoted = false;  ///< of a scalar: it stood in quotes or in a block
  std::string text;
  std::vector<Node> items;                     ///< of a list
  std::vector<std::pair<Node, Node>> members;  ///< of a map, in the order written; keys are distinct scalars
  Place place;

  [[nodiscard]] const Node* find(std::string_view key) const;
  [[nodiscard]] Node* find(std::string_view key);
  /// Where the first byte of a scalar's text stands: behind the opening quote.
  [[nodiscard]] Place text_place() const;
};

/// What a spec may cost.
struct Limits {
  std::size_t bytes = 1U << 20;
  std::size_t depth = 32;
  std::size_t nodes = 50'000;
};

/// Reads one YAML document without aliases, tags and repeated keys.
/// @throws Error Invalid with place and caret
Node read_yaml(const SourceText& source, const Limits& limits = {});

}  // namespace slip::spec
