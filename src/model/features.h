#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "serving/tf/types.h"

/// Which features of a tf.Example a graph parses.
namespace slip::model {

/// One feature, as a ParseExample operation asks for it.
struct Feature {
  std::string name;
  serving::DataType type = serving::DataType::Invalid;  ///< Float, Int64 or String
  serving::Shape shape;                                 ///< in one example; an open size is -1
  bool any_number = false;                              ///< sparse or ragged: as many values as the example has
  bool operator==(const Feature&) const = default;
};

/// "float[2]", "int64, any number".
std::string text_of(const Feature& feature);

/// The nodes of a graph and its functions that lead from a tensor of tf.Examples to what parses it.
/// @source tensorflow/core/ops/parsing_ops.cc ParseExample, ParseExampleV2; framework/node_def.proto, attr_value.proto
class ExampleGraph {
 public:
  /// Takes note of one NodeDef. @param function  whose body it is in; empty: the graph's own
  /// @return false for malformed bytes
  bool add_node(const std::string& function, std::string_view node);
  /// @param arguments  of a function, in its order
  void add_function(const std::string& function, std::vector<std::string> arguments);

  /// The features that `tensor` ("tf_example:0") is parsed for, by name; empty when nothing parses it, or when the
  /// graph does not say it in constants.
  [[nodiscard]] std::vector<Feature> parsed_from(const std::string& tensor) const;

 private:
  struct Node {
    std::string name, op;
    std::vector<std::string> inputs;  ///< names of nodes or arguments
    std::string function;             ///< that it calls
    std::vector<serving::DataType> dense_types, sparse_types, ragged_types;
    std::vector<serving::Shape> dense_shapes;
  };
  struct Scope {
    std::vector<std::string> arguments;
    std::vector<Node> nodes;
    std::map<std::string, std::vector<std::pair<std::size_t, std::size_t>>> readers;  ///< node and which of its inputs
    std::map<std::string, std::vector<std::string>> texts;                            ///< constants
  };
  static bool read_attribute(std::string_view bytes, Node& node, std::vector<std::string>& texts);
  static std::optional<std::vector<Feature>> features_of(const Scope& scope, const Node& node);

  std::map<std::string, Scope> scopes_;
};

}  // namespace slip::model
