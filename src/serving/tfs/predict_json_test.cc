#include "serving/tfs/predict_json.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdio>
#include <limits>
#include <random>

#include "serving/json/out.h"
#include "serving/json/scan.h"
#include "serving/tf/fixture.h"
#include "serving/tf/json_tensor.h"

namespace slip::serving {
namespace {

/// Values of every input type pass through a reader alone, so that all types are covered without a model for each.
class JsonTensorTest : public test::WithTensorflow {
 protected:
  struct Read {
    Tensor tensor;
    std::string error;
  };
  static Read read(DataType type, std::string_view json) {
    JsonScanner scanner(json);
    DenseReader reader(scanner);
    TensorBuilder builder(test::tensorflow(), type);
    Shape shape;
    if (!reader.read(builder, shape)) {
      return {{}, scanner.failed() ? scanner.error() : to_string(reader.failure())};
    }
    return {builder.finish(shape), scanner.at_end() ? "" : scanner.error()};
  }
};

TEST_F(JsonTensorTest, FloatsOverflowToInfinity) {
  const auto read_back =
      read(DataType::Float, "[1,2.0,3,1435774380,5.003,0.007,0.0,1.7976931348623157e308,-1e300,1e-320,NaN,-Inf]");
  ASSERT_EQ(read_back.error, "");
  const float* f = read_back.tensor.as<float>();
  EXPECT_EQ(read_back.tensor.shape(), Shape{12});
  EXPECT_EQ(f[3], 1435774380.0f);
  EXPECT_EQ(f[4], 5.003f);
  EXPECT_EQ(f[7], std::numeric_limits<float>::infinity());
  EXPECT_EQ(f[8], -std::numeric_limits<float>::infinity());
  EXPECT_EQ(f[9], 0.0f);
  EXPECT_NE(f[10], f[10]);
  EXPECT_EQ(f[11], -std::numeric_limits<float>::infinity());
}

TEST_F(JsonTensorTest, DoublesAreTheNearest) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 20000; ++i) {
    const std::uint64_t bits = random();
    double value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (value != value || value - value != 0) {
      continue;
    }
    char text[64];
    std::snprintf(text, sizeof text, i % 3 == 0 ? "%.17g" : (i % 3 == 1 ? "%.6f" : "%.12g"),
                  i % 3 == 1 ? static_cast<double>(static_cast<std::int64_t>(bits) >> 30) / 1000.0 : value);
    const auto read_back = read(DataType::Double, text);
    ASSERT_EQ(read_back.error, "") << text;
    ASSERT_EQ(read_back.tensor.as<double>()[0], std::strtod(text, nullptr)) << text;
  }
}

TEST_F(JsonTensorTest, IntegersKeepTheirRange) {
  EXPECT_EQ(read(DataType::Int64, "[9223372036854775807,-9223372036854775808]").tensor.as<std::int64_t>()[1],
            std::numeric_limits<std::int64_t>::min());
  EXPECT_EQ(read(DataType::UInt64, "18446744073709551615").tensor.as<std::uint64_t>()[0],
            std::numeric_limits<std::uint64_t>::max());
  EXPECT_NE(read(DataType::UInt64, "18446744073709551616").error, "");
  EXPECT_NE(read(DataType::Int64, "9223372036854775808").error, "");
  EXPECT_NE(read(DataType::Int32, "2147483648").error, "");
  EXPECT_NE(read(DataType::Int32, "1.0").error, "");
  EXPECT_NE(read(DataType::UInt32, "-1").error, "");
  EXPECT_EQ(read(DataType::Int8, "[-128]").tensor.as<std::int8_t>()[0], -128);
  EXPECT_EQ(read(DataType::Bool, "[true,false]").tensor.as<bool>()[0], true);
  EXPECT_NE(read(DataType::Bool, "1").error, "");
  EXPECT_EQ(read(DataType::Half, "[1]").error, "UNIMPLEMENTED: Conversion of JSON Value: 1 to type: half");
}

TEST_F(JsonTensorTest, StringsAndBase64) {
  const auto read_back = read(DataType::String, R"(["a\u00e9\ud83d\ude00\n", {"b64":"aGVsbG8="}, {"b64": "aGVsbG8"}])");
  ASSERT_EQ(read_back.error, "");
  EXPECT_EQ(read_back.tensor.text(0), "a\xc3\xa9\xf0\x9f\x98\x80\n");
  EXPECT_EQ(read_back.tensor.text(1), "hello");
  EXPECT_EQ(read_back.tensor.text(2), "hello");
  EXPECT_NE(read(DataType::String, R"({"b64":"a"})").error, "");
  EXPECT_NE(read(DataType::String, R"({"b64":"aGVsbG8=","x":1})").error.find("base64"), std::string::npos);
  EXPECT_NE(read(DataType::String, R"("\ud800")").error, "");
}

TEST_F(JsonTensorTest, RaggedListsAreErrors) {
  EXPECT_NE(read(DataType::Float, "[[1,2],[3]]").error.find("unexpected size: 1"), std::string::npos);
  EXPECT_NE(read(DataType::Float, "[[1],2]").error.find("incorrect level"), std::string::npos);
  EXPECT_NE(read(DataType::Float, "[1,[2]]").error.find("unexpected level"), std::string::npos);
  EXPECT_EQ(read(DataType::Float, "[[],[]]").tensor.shape(), (Shape{2, 0}));
}

TEST_F(JsonTensorTest, MalformedTextIsAParseError) {
  for (const char* text :
       {"nan", "[1,]", "1e400", "[01]", "+1", ".5", "1.", "[1", "[1 2]", "1e", "-", "[1]x", "// 1"}) {
    EXPECT_NE(read(DataType::Float, text).error.find("JSON Parse error"), std::string::npos) << text;
  }
}

class PredictJsonTest : public test::WithTensorflow {
 protected:
  static std::string predict(const Model& model, std::string_view body) {
    auto call = read_predict_json(model, body);
    if (!call) {
      return to_string(call.error());
    }
    std::vector<const Tensor*> inputs;
    for (const Tensor& tensor : call->inputs) {
      inputs.push_back(&tensor);
    }
    const auto outputs = model.run(*call->method, inputs);
    if (!outputs) {
      return to_string(outputs.error());
    }
    const auto text = write_predict_json(*call->method, *outputs, call->form);
    return text ? *text : to_string(text.error());
  }
};

TEST_F(PredictJsonTest, RowsAndColumns) {
  const auto model = load("half_plus_two/123");
  EXPECT_EQ(predict(*model, R"({"instances": [[1.0], [2.0], [5.0]]})"),
            "{\n    \"predictions\": [[2.5], [3.0], [4.5]\n    ]\n}");
  EXPECT_EQ(predict(*model, R"({"instances": [{"x":[1.0]}, {"x":[2.0]}]})"),
            "{\n    \"predictions\": [[2.5], [3.0]\n    ]\n}");
  EXPECT_EQ(predict(*model, R"({"inputs": [3.0, 4.0], "signature_name": "serving_default"})"),
            "{\n    \"outputs\": [\n        3.5,\n        4.0\n    ]\n}");
}

TEST_F(PredictJsonTest, SeveralInputsAndOutputs) {
  const auto model = load("mixed/1");
  EXPECT_EQ(
      predict(*model, R"({"instances": [{"ids":[1,2],"text":"a","flag":true},{"flag":false,"text":"b","ids":[3,4]}]})"),
      R"({
    "predictions": [
        {
            "joined": "a:3",
            "joined_bytes": {
                "b64": "YToz"
            },
            "not_flag": false,
            "third": [0.33333333333333331, 0.66666666666666663],
            "twice": [2, 4]
        },
        {
            "joined": "b:7",
            "joined_bytes": {
                "b64": "Yjo3"
            },
            "not_flag": true,
            "third": [1.0, 1.3333333333333333],
            "twice": [6, 8]
        }
    ]
})");
  EXPECT_NE(
      predict(*model, R"({"instances": [{"ids":[1,2],"text":"a"}]})").find("keys must be equal to: flag,ids,text"),
      std::string::npos);
  EXPECT_NE(predict(*model, R"({"instances": [1]})").find("instances is a plain list"), std::string::npos);
  EXPECT_NE(predict(*model, R"({"inputs": {"ids":[[1,2]],"text":["a"]}})")
                .find("Missing named input: flag in 'inputs' object."),
            std::string::npos);
  EXPECT_NE(
      predict(*model, R"({"inputs": {"ids":[[1,2]],"text":["a"],"flag":[true],"more":{"x":[]}}})").find("\"a:3\""),
      std::string::npos);
}

/// A body and a part of the error it gets; the parts are TensorFlow Serving's.
struct BadBody {
  const char* body;
  const char* text;
};

TEST_F(PredictJsonTest, BadBodiesGetTheKnownTexts) {
  const BadBody kCases[] = {
      {"", "document is empty"},
      {"instances = [1, 2]", "JSON Parse error: Invalid value"},
      {"[1]", "Is not object"},
      {"{}", "Missing 'inputs' or 'instances' key"},
      {R"({"instances":[]})", "No values in 'instances' array"},
      {R"({"instances":{}})", "to be an list/array"},
      {R"({"instances":["x","y"]})", "not of expected type: float"},
      {R"({"instances":[[1,2],["a","b"]]})", "not of expected type"},
      {R"({"instances":[null]})", "not of expected type"},
      {R"({"signature_name":5,"instances":[1]})", "must be a string value"},
      {R"({"signature_name":"nope","instances":[1]})", "Serving signature name: \"nope\" not found in signature def"},
      {R"({"instances":[1],"inputs":[1]})", "Not formatted correctly"},
      {R"({"instances":[[1,2],[3,4],[5,6,7]]})", "Expecting tensor size"},
      {R"({"instances":[[1,2],[3,4],[[5,6]]]})", "Expecting shape"},
      {R"({"instances":[1,[1]]})", "Expecting shape"},
      {R"({"instances":[{"x":1},[1]]})", "Expecting object but got list"},
      {R"({"instances":[[1],{"x":1}]})", "Expecting value/list but got object"},
      {R"({"instances":["x"],)", "JSON Parse error"},
      {R"({"instances":[1.0]} trailing)", "JSON Parse error"},
  };
  const auto model = load("half_plus_two/123");
  for (const auto& [body, text] : kCases) {
    EXPECT_NE(predict(*model, body).find(text), std::string::npos) << body << "\n" << predict(*model, body);
  }
}

TEST_F(PredictJsonTest, DeepNestingStopsAtOnce) {
  const auto model = load("half_plus_two/123");
  for (const char* start : {"", R"({"instances":)", R"({"other":)", R"({"inputs":{"x":)"}) {
    const std::string body = start + std::string(50000, '[');
    const auto before = std::chrono::steady_clock::now();
    EXPECT_NE(predict(*model, body).find("JSON Parse error: Nested deeper"), std::string::npos) << start;
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::milliseconds(50));
  }
}

std::string decimal(auto value) {
  JsonOut out;
  out.decimal(value);
  return out.take();
}

TEST(JsonOutTest, DecimalsReadAsTensorflowServingWritesThem) {
  EXPECT_EQ(decimal(9000000.0f), "9e+06");
  EXPECT_EQ(decimal(999999.0f), "999999.0");
  EXPECT_EQ(decimal(0.5f), "0.5");
  EXPECT_EQ(decimal(0.0003f), "0.0003");
  EXPECT_EQ(decimal(0.00003f), "3e-05");
  EXPECT_EQ(decimal(555557.5f), "555557.5");
  EXPECT_EQ(decimal(-0.0f), "-0.0");
  EXPECT_EQ(decimal(1.0 / 3), "0.33333333333333331");
}

TEST(JsonOutTest, DecimalsEqualPrintf) {
  std::mt19937 random(11);
  for (int i = 0; i < 400000; ++i) {
    const auto bits = static_cast<std::uint32_t>(random());
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (i % 4 == 0) {
      value = static_cast<float>(static_cast<int>(bits % 2000000)) / 1000.0f;
    } else if (i % 4 < 3) {  // every order of magnitude from 10^-6 to 10^10
      value = std::pow(10.0f, static_cast<float>(bits % 16000) / 1000.0f - 6.0f) * (i % 4 == 1 ? 1.0f : -1.0f);
    }
    if (value != value || value - value != 0) {
      continue;
    }
    char text[64];
    std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
    if (std::strtof(text, nullptr) != value) {
      std::snprintf(text, sizeof text, "%.9g", static_cast<double>(value));
    }
    std::string expected = text;
    if (expected.find_first_of(".e") == std::string::npos) {
      expected += ".0";
    }
    ASSERT_EQ(decimal(value), expected);
  }
}

TEST(JsonOutTest, ManyDecimalsReadAsOneAfterTheOther) {
  std::vector<float> values;
  for (int i = 0; i < 1000; ++i) {
    values.push_back(static_cast<float>(i * i) / 7.0f);
  }
  for (const bool single : {true, false}) {
    JsonOut together;
    JsonOut apart;
    for (JsonOut* out : {&together, &apart}) {
      out->single_line(single);
      out->begin_array();
      out->begin_array();
    }
    together.decimals(values.data(), values.size());
    together.decimals(values.data(), 0);
    together.decimal(1.5f);
    for (const float value : values) {
      apart.decimal(value);
    }
    apart.decimal(1.5f);
    for (JsonOut* out : {&together, &apart}) {
      out->end_array();
      out->end_array();
    }
    EXPECT_EQ(together.take(), apart.take());
  }
}

TEST(JsonScanTest, NumbersAreReadWhereverTheyEnd) {
  for (const std::string number : {"0", "1", "12345678", "123456789", "1234567.1", "0.12345678", "12345678.12345678",
                                   "1e5", "12345678901234567890123", "0.000000000000000000012345"}) {
    for (const std::string end :
         {"", "]", ",1,2,3,4,5", " ", "/////////", ":::::::::", "\xff\xff\xff\xff\xff\xff\xff\xff"}) {
      const std::string text = number + end;
      JsonScanner scanner(text);
      JsonNumber n;
      ASSERT_TRUE(scanner.number(n)) << text;
      EXPECT_EQ(n.value, std::strtod(number.c_str(), nullptr)) << text;
      EXPECT_EQ(scanner.position() - text.data(), static_cast<std::ptrdiff_t>(number.size())) << text;
    }
  }
}

}  // namespace
}  // namespace slip::serving
