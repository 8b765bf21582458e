#include "model/features.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "model/requests.h"
#include "model/saved_model.h"
#include "serving/proto/wire.h"

namespace slip::model {
namespace {

using serving::DataType;
using serving::WireWriter;

// --- a GraphDef by hand ---------------------------------------------------------------------------------------------

WireWriter shape(const serving::Shape& sizes) {
  WireWriter w;
  for (const std::int64_t size : sizes) {
    WireWriter dim;
    dim.varint(1, static_cast<std::uint64_t>(size));
    w.message(2, dim);
  }
  return w;
}

WireWriter attribute(const std::string& key, const WireWriter& value) {
  WireWriter entry;
  entry.bytes(1, key);
  entry.message(2, value);
  return entry;
}

WireWriter types(const std::vector<DataType>& list, bool packed) {
  WireWriter values;
  for (const DataType type : list) {
    packed ? values.raw_varint(static_cast<std::uint64_t>(type)) : values.varint(6, static_cast<std::uint64_t>(type));
  }
  WireWriter outer;
  packed ? outer.bytes(6, values.str()) : outer.raw(values.str().data(), values.str().size());
  WireWriter value;
  value.message(1, outer);
  return value;
}

WireWriter shapes(const std::vector<serving::Shape>& list) {
  WireWriter values;
  for (const serving::Shape& one : list) {
    values.message(7, shape(one));
  }
  WireWriter value;
  value.message(1, values);
  return value;
}

WireWriter called(const std::string& function) {
  WireWriter name;
  name.bytes(1, function);
  WireWriter value;
  value.message(10, name);
  return value;
}

struct NodeOf {
  std::string name, op;
  std::vector<std::string> inputs;
  std::vector<WireWriter> attributes;
  [[nodiscard]] std::string wire() const {
    WireWriter w;
    w.bytes(1, name);
    w.bytes(2, op);
    for (const std::string& input : inputs) {
      w.bytes(3, input);
    }
    for (const WireWriter& a : attributes) {
      w.message(5, a);
    }
    return w.str();
  }
};

NodeOf texts(const std::string& name, const std::vector<std::string>& values) {
  WireWriter tensor;
  tensor.varint(1, static_cast<std::uint64_t>(DataType::String));
  for (const std::string& value : values) {
    tensor.bytes(8, value);
  }
  WireWriter value;
  value.message(8, tensor);
  return {name, "Const", {}, {attribute("value", value)}};
}

void add(ExampleGraph& graph, const std::string& function, const std::vector<NodeOf>& nodes) {
  for (const NodeOf& node : nodes) {
    EXPECT_TRUE(graph.add_node(function, node.wire())) << node.name;
  }
}

// --- what is found --------------------------------------------------------------------------------------------------

TEST(Features, OfAGraphWithOneInputPerKey) {
  ExampleGraph graph;
  add(graph, "",
      {{"tf_example", "Placeholder", {}, {}},
       {"through", "Identity", {"tf_example"}, {}},
       texts("keys/sparse", {"tags"}),
       texts("keys/x", {"x"}),
       texts("keys/id", {"id"}),
       {"parse",
        "ParseExample",
        {"through:0", "names", "keys/sparse", "keys/x", "keys/id", "default_x", "default_id"},
        {attribute("Tdense", types({DataType::Float, DataType::Int64}, true)),
         attribute("sparse_types", types({DataType::String}, false)), attribute("dense_shapes", shapes({{2, 3}, {}})),
         attribute("_output_shapes", shapes({{-1}, {-1, 2, 3}}))}}});
  const std::vector<Feature> expected = {
      {"id", DataType::Int64, {}, false}, {"tags", DataType::String, {}, true}, {"x", DataType::Float, {2, 3}, false}};
  EXPECT_EQ(graph.parsed_from("tf_example:0"), expected);
  EXPECT_TRUE(graph.parsed_from("elsewhere:0").empty());
  EXPECT_EQ(text_of(expected[1]), "string, any number");
  EXPECT_EQ(text_of(expected[2]), "float[2,3]");
}

TEST(Features, OfFunctionsThatCallFunctions) {
  ExampleGraph graph;
  add(graph, "",
      {{"serving_default_examples", "Placeholder", {}, {}},
       {"call",
        "StatefulPartitionedCall",
        {"variable", "serving_default_examples"},
        {attribute("f", called("wrapper"))}}});
  graph.add_function("wrapper", {"weight", "examples"});
  add(graph, "wrapper",
      {{"inner", "PartitionedCall", {"examples"}, {attribute("f", called("body"))}},
       // A function that calls itself comes to an end, too.
       {"again", "PartitionedCall", {"weight", "examples"}, {attribute("f", called("wrapper"))}}});
  graph.add_function("body", {"serialized"});
  add(graph, "body",
      {texts("Parse/sparse", {}),
       texts("Parse/dense", {"a", "b"}),
       texts("Parse/ragged", {"words"}),
       {"Parse",
        "ParseExampleV2",
        {"serialized", "Parse/names:output:0", "Parse/sparse:output:0", "Parse/dense:output:0", "Parse/ragged:output:0",
         "default_a", "default_b"},
        {attribute("Tdense", types({DataType::Float, DataType::String}, true)),
         attribute("ragged_value_types", types({DataType::String}, true)),
         attribute("dense_shapes", shapes({{-1}, {}}))}}});
  const std::vector<Feature> expected = {
      {"a", DataType::Float, {-1}, false}, {"b", DataType::String, {}, false}, {"words", DataType::String, {}, true}};
  EXPECT_EQ(graph.parsed_from("serving_default_examples:0"), expected);
  EXPECT_TRUE(graph.parsed_from("variable:0").empty());
}

TEST(Features, AreNotGuessed) {
  ExampleGraph graph;
  add(graph, "",
      {{"parse",
        "ParseExample",
        {"tf_example", "names", "computed", "default"},
        {attribute("Tdense", types({DataType::Float}, true)), attribute("dense_shapes", shapes({{1}}))}}});
  EXPECT_TRUE(graph.parsed_from("tf_example:0").empty()) << "the key is no constant";
  EXPECT_FALSE(graph.add_node("", "\x0a\xff"));
}

TEST(Features, OfARealModelAreAskedFor) {
  const std::filesystem::path models = std::filesystem::path(SLIP_SOURCE_DIR) / "tests/serving/models";
  const MetaGraph graph = open_saved_model(models / "half_plus_two", "").graph;
  const ParsedInputs expected = {{"inputs", {{"x", DataType::Float, {1}, false}}}};
  EXPECT_EQ(graph.parsed.at("regress_x_to_y"), expected);
  EXPECT_EQ(graph.parsed.at("classify_x_to_y"), expected);
  EXPECT_FALSE(graph.parsed.contains("serving_default"));
  const auto request =
      request_for("regress_x_to_y", graph.signatures.at("regress_x_to_y"), graph.parsed.at("regress_x_to_y"));
  ASSERT_TRUE(request);
  EXPECT_EQ(request->verb, "regress");
  EXPECT_EQ(request->body, R"({"examples":[{"x":0.0}],"signature_name":"regress_x_to_y"})");
  EXPECT_TRUE(request->features);
}

// --- what is made of it
// -----------------------------------------------------------------------------------------------

serving::Signature signature_of(std::string_view method) {
  serving::Signature signature;
  signature.method = method;
  signature.inputs["examples"] = {"tf_example:0", DataType::String, {-1}, false};
  return signature;
}

TEST(Requests, HoldEveryFeatureInItsShape) {
  const ParsedInputs parsed = {{"examples",
                                {{"id", DataType::Int64, {}, false},
                                 {"tags", DataType::String, {}, true},
                                 {"x", DataType::Float, {2, 2}, false}}}};
  const auto classify = request_for("c", signature_of(serving::kClassifyMethod), parsed);
  ASSERT_TRUE(classify);
  EXPECT_EQ(classify->body,
            R"({"examples":[{"id":0,"tags":"a text","x":[0.0,0.125,0.25,0.375]}],"signature_name":"c"})");
  // To predict, the same example goes as bytes: Example { Features { map { "id": Int64List } } }.
  const auto predict =
      request_for("p", signature_of(serving::kPredictMethod), {{"examples", {{"id", DataType::Int64, {}, false}}}});
  ASSERT_TRUE(predict);
  EXPECT_EQ(predict->body, R"({"inputs":{"examples":[{"b64":"CgwKCgoCaWQSBBoCCAA="}]},"signature_name":"p"})");
}

TEST(Requests, WithoutFeaturesAreAsBefore) {
  const auto classify = request_for("c", signature_of(serving::kClassifyMethod), {});
  EXPECT_EQ(classify->body, R"({"examples":[{}],"signature_name":"c"})");
  EXPECT_FALSE(classify->features);
  EXPECT_EQ(request_for("p", signature_of(serving::kPredictMethod), {})->body,
            R"({"inputs":{"examples":["a text"]},"signature_name":"p"})");
}

TEST(Requests, OfTooManyValuesAreNotMade) {
  const ParsedInputs parsed = {{"examples", {{"x", DataType::Float, {1 << 20, 1 << 20}, false}}}};
  EXPECT_FALSE(request_for("c", signature_of(serving::kClassifyMethod), parsed)->features);
}

}  // namespace
}  // namespace slip::model
