#include "serving/tf/model.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>

#include "os/file.h"
#include "serving/proto/wire.h"
#include "serving/tf/fixture.h"

namespace slip::serving {
namespace {

namespace fs = std::filesystem;

class ModelTest : public test::WithTensorflow {};

Tensor floats(std::initializer_list<float> values) {
  TensorBuilder builder(test::tensorflow(), DataType::Float);
  for (const float value : values) {
    builder.push(value);
  }
  return builder.finish({static_cast<std::int64_t>(values.size())});
}

Tensor texts(std::initializer_list<std::string_view> values) {
  TensorBuilder builder(test::tensorflow(), DataType::String);
  for (const auto value : values) {
    builder.push_text(value);
  }
  return builder.finish({static_cast<std::int64_t>(values.size())});
}

TEST_F(ModelTest, Tf2ModelRunsItsSignature) {
  const auto model = load("half_plus_two_tf2/1");
  const Method* method = model->method("");
  ASSERT_NE(method, nullptr);
  const Tensor x = floats({1, 2, 5});
  const Tensor* inputs[] = {&x};
  const auto y = model->run(*method, inputs);
  ASSERT_TRUE(y) << y.error().message;
  ASSERT_EQ((*y)[0].shape(), Shape{3});
  EXPECT_EQ((*y)[0].as<float>()[0], 2.5f);
  EXPECT_EQ((*y)[0].as<float>()[2], 4.5f);
}

TEST_F(ModelTest, CallerThreadGivesTheSameNumbers) {
  const auto model = load("half_plus_two_tf2/1");
  const Tensor x = floats({7});
  const Tensor* inputs[] = {&x};
  for (int i = 0; i < 100; ++i) {  // the first runs are slow and go to the pool, later ones do not
    const auto y = model->run(*model->method(""), inputs);
    ASSERT_TRUE(y) << y.error().message;
    ASSERT_EQ((*y)[0].as<float>()[0], 5.5f);
  }
}

TEST_F(ModelTest, Tf1ModelRestoresItsVariables) {
  const auto model = load("half_plus_two/123");
  const Tensor x = floats({3, 4});
  const Tensor* inputs[] = {&x};
  const auto y = model->run(*model->method("serving_default"), inputs);
  ASSERT_TRUE(y) << y.error().message;
  EXPECT_EQ((*y)[0].as<float>()[1], 4.0f);
  ASSERT_NE(model->method("regress_x_to_y"), nullptr);
  EXPECT_EQ(model->method("regress_x_to_y")->kind, kRegressMethod);
  EXPECT_EQ(model->method("missing"), nullptr);
}

TEST_F(ModelTest, CounterKeepsItsState) {
  const auto model = load("counter/1");
  for (int i = 1; i <= 3; ++i) {
    const auto count = model->run(*model->method(""), {});
    ASSERT_TRUE(count) << count.error().message;
    EXPECT_EQ((*count)[0].as<float>()[0], static_cast<float>(i));
  }
}

TEST_F(ModelTest, StringsPassThroughShortAndLong) {
  const auto model = load("mixed/1");
  const std::string long_text(5000, 'z');
  const Tensor in = texts({"", "short", long_text});
  const Tensor* inputs[] = {&in};
  const auto out = model->run(*model->method("echo"), inputs);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ((*out)[0].text(0), "");
  EXPECT_EQ((*out)[0].text(1), "short");
  EXPECT_EQ((*out)[0].text(2), long_text);
}

TEST_F(ModelTest, LookupTableFindsItsAsset) {
  const auto model = load("lookup/1");
  const Tensor in = texts({"gamma", "nowhere"});
  const Tensor* inputs[] = {&in};
  const auto out = model->run(*model->method(""), inputs);
  ASSERT_TRUE(out) << out.error().message;
  EXPECT_EQ((*out)[0].as<std::int64_t>()[0], 2);
  EXPECT_EQ((*out)[0].as<std::int64_t>()[1], -1);
}

TEST_F(ModelTest, APastDeadlineDoesNotRun) {
  const auto model = load("counter/1");
  const auto late = model->run(*model->method(""), {}, Clock::now() - std::chrono::seconds(1));
  ASSERT_FALSE(late);
  EXPECT_EQ(late.error().code, Code::DeadlineExceeded);
  const auto count = model->run(*model->method(""), {});
  EXPECT_EQ((*count)[0].as<float>()[0], 1.0f);
}

TEST_F(ModelTest, BrokenModelsAreErrors) {
  EXPECT_FALSE(Model::load(test::tensorflow(), "/nonexistent", {}));
  const os::TempDir dir(fs::temp_directory_path(), "serving-test");
  const fs::path copy = dir.path() / "broken";
  fs::copy(test::model_folder("half_plus_two_tf2/1"), copy, fs::copy_options::recursive);
  fs::resize_file(copy / "saved_model.pb", 700);
  EXPECT_FALSE(Model::load(test::tensorflow(), copy, {})) << "truncated graph";
  fs::copy_file(test::model_folder("half_plus_two_tf2/1") / "saved_model.pb", copy / "saved_model.pb",
                fs::copy_options::overwrite_existing);
  ASSERT_TRUE(Model::load(test::tensorflow(), copy, {}));
  fs::remove(copy / "variables/variables.data-00000-of-00001");
  EXPECT_FALSE(Model::load(test::tensorflow(), copy, {})) << "missing shard";
}

/// A graph that names an operation nobody has, an attribute of a type that is none, and a graph cut at many places:
/// errors, and the process lives.
TEST_F(ModelTest, BrokenGraphsAreErrors) {
  const os::TempDir dir(fs::temp_directory_path(), "serving-test");
  const fs::path copy = dir.path() / "broken";
  fs::copy(test::model_folder("half_plus_two/123"), copy, fs::copy_options::recursive);
  const std::string graph = os::read_file(copy / "saved_model.pb");
  const auto load_with = [&](const std::string& text) {
    os::write_file(copy / "saved_model.pb", text);
    return Model::load(test::tensorflow(), copy, {});
  };
  const auto replaced = [&](std::string_view from, std::string_view to) {
    std::string text = graph;
    const std::size_t at = text.rfind(from);  // in the graph: the list of operations stands before it
    EXPECT_NE(at, std::string::npos) << from;
    return text.replace(at, from.size(), to);
  };
  const auto operation = load_with(replaced("AddV2", "AddV9"));
  ASSERT_FALSE(operation);
  EXPECT_NE(operation.error().message.find("AddV9"), std::string::npos) << operation.error().message;
  EXPECT_FALSE(
      load_with(replaced("\n\x05"
                         "dtype\x12\x02\x30\x01",
                         "\n\x05"
                         "dtype\x12\x02\x30\x63")));
  for (std::size_t size = 1; size < graph.size(); size += graph.size() / 13) {
    EXPECT_FALSE(load_with(graph.substr(0, size))) << size;
  }
  EXPECT_FALSE(load_with(""));
  EXPECT_TRUE(load_with(graph));
}

TEST_F(ModelTest, RowsAppendAndRepeat) {
  const Tensor from = texts({"a", "b", "c"});
  TensorBuilder builder(test::tensorflow(), DataType::String);
  append_rows(from, 1, 3, builder);
  builder.repeat(0, 2);
  const Tensor to = builder.finish({4});
  EXPECT_EQ(to.text(0), "b");
  EXPECT_EQ(to.text(1), "c");
  EXPECT_EQ(to.text(3), "b");
}

TEST(WireTest, MalformedBytesStop) {
  for (const std::string_view bytes :
       {std::string_view("\x0a\x05xy"), std::string_view("\x80"), std::string_view("\x0b"),
        std::string_view("\x00\x00", 2), std::string_view("\x0d\x01")}) {
    WireReader r(bytes);
    while (r.next()) {
    }
    EXPECT_FALSE(r.ok());
  }
  EXPECT_FALSE(read_signatures("\x2a\x03\x12\x09Q"));
}

TEST(WireTest, SignatureSurvivesTheWire) {
  Signature signature;
  signature.method = kPredictMethod;
  signature.inputs["x"] = {"x:0", DataType::Float, {-1, 3}, false};
  signature.outputs["y"] = {"y:0", DataType::String, {}, true};
  WireWriter entry;
  entry.bytes(1, "serving_default");
  entry.bytes(2, to_wire(signature));
  WireWriter meta;
  meta.message(5, entry);
  const auto read = read_signatures(meta.str());
  ASSERT_TRUE(read);
  const Signature& again = read->at("serving_default");
  EXPECT_EQ(again.inputs.at("x").shape, (Shape{-1, 3}));
  EXPECT_TRUE(again.outputs.at("y").unknown_rank);
  EXPECT_EQ(again.outputs.at("y").type, DataType::String);
  EXPECT_EQ(again.method, kPredictMethod);
}

}  // namespace
}  // namespace slip::serving
