#include "serving/config.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "serving/http.h"
#include "serving/options.h"
#include "serving/rest_path.h"

namespace slip::serving {
namespace {

TEST(ConfigTest, ReadsModelsInEveryForm) {
  const auto configs = read_model_config(R"(
    # two models
    model_config_list: {
      config: { name: "a", base_path: "/models/" "a", model_platform: "tensorflow" },
      config {
        name: 'b' base_path: '/models/b'
        model_version_policy { specific { versions: 3 versions: 5 } }
        version_labels { key: "stable" value: 3 }
        version_labels: < key: "canary", value: 5 >
      }
      config { name: "c" base_path: "/c" model_version_policy { latest { num_versions: 2 } } }
      config { name: "d" base_path: "/d" model_version_policy: { all: {} } }
    })");
  ASSERT_TRUE(configs) << configs.error().message;
  ASSERT_EQ(configs->size(), 4u);
  EXPECT_EQ((*configs)[0].base_path, "/models/a");
  EXPECT_EQ((*configs)[1].policy.specific, (std::vector<std::int64_t>{3, 5}));
  EXPECT_EQ((*configs)[1].labels.at("canary"), 5);
  EXPECT_EQ((*configs)[2].policy.latest, 2u);
  EXPECT_EQ((*configs)[3].policy.kind, VersionPolicy::Kind::All);
}

TEST(ConfigTest, ErrorsNameTheLineAndTheField) {
  const auto unknown = read_model_config("model_config_list {\n  config { nme: \"a\" }\n}");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("Error parsing text-format tensorflow.serving.ModelServerConfig"),
            std::string::npos);
  EXPECT_NE(unknown.error().message.find("line 2"), std::string::npos);
  EXPECT_NE(unknown.error().message.find("\"nme\""), std::string::npos);
  for (const char* text :
       {"model_config_list {", "model_config_list { config { name: 5 base_path: \"x\" } }", "x: 1",
        "model_config_list { config { name: \"a } }", "model_config_list { config { name: \"a\" } }",
        "model_config_list { config { name: \"a\" base_path: \"b\" } config { name: \"a\" base_path: \"b\" } }"}) {
    EXPECT_FALSE(read_model_config(text)) << text;
  }
}

TEST(ConfigTest, MonitoringNeedsToBeEnabled) {
  EXPECT_EQ(*read_monitoring_config("prometheus_config { enable: true }"), "/monitoring/prometheus/metrics");
  EXPECT_EQ(*read_monitoring_config("prometheus_config: { enable: true, path: \"/m\" }"), "/m");
  EXPECT_EQ(*read_monitoring_config("prometheus_config { enable: false path: \"/m\" }"), "");
  EXPECT_FALSE(read_monitoring_config("prometheus_config { on: true }"));
}

TEST(OptionsTest, FlagsOfTensorflowModelServer) {
  const Options options = read_options({"--rest_api_port=8501", "--model_name", "m", "--model_base_path=/models/m",
                                        "--rest_api_enable_cors_support", "--num_load_threads=4"});
  EXPECT_EQ(options.rest_api_port, 8501);
  EXPECT_EQ(options.model_name, "m");
  EXPECT_TRUE(options.rest_api_enable_cors_support);
  EXPECT_EQ(options.without_effect, std::vector<std::string>{"num_load_threads"});
}

TEST(OptionsTest, WrongFlagsAreErrors) {
  for (const char* flag : {"--rest_api_prt=1", "rest", "--rest_api_port=x", "--rest_api_port=70000", "--model_name",
                           "--rest_api_port=-1", "--rest_api_enable_cors_support=maybe"}) {
    EXPECT_THROW(read_options({flag}), Error) << flag;
  }
  try {
    read_options({"--rest_api_prt=1"});
  } catch (const Error& error) {
    ASSERT_EQ(error.hints().size(), 1u);
    EXPECT_EQ(error.hints()[0], "did you mean --rest_api_port?");
  }
}

TEST(RestPathTest, NamesAreDecodedAfterTheMatch) {
  const auto path = read_rest_path("POST", "/v1/models/modelname%21%23%24%2F%3A/labels/latest%21%5D:predict");
  ASSERT_TRUE(path);
  EXPECT_EQ(path->spec.name, "modelname!#$/:");
  EXPECT_EQ(path->spec.label, "latest!]");
  EXPECT_EQ(path->action, RestPath::Action::Predict);
  EXPECT_EQ(read_rest_path("GET", "/V1/Models/m/Versions/007/metadata")->spec.version, 7);
  EXPECT_EQ(read_rest_path("GET", "/v1/models")->spec.name, "");
}

TEST(RestPathTest, MalformedPaths) {
  for (const char* path : {"/v1/foo", "/v1/models/", "/v1/models/m/versions/1/labels/x", "/v1/models/m/versions/x",
                           "/v1/models/m/", "/v1/models/m:predict", "/v1/models/m/metadata/x"}) {
    const auto read = read_rest_path("GET", path);
    ASSERT_FALSE(read) << path;
    EXPECT_EQ(read.error().message, std::string("Malformed request: GET ") + path);
  }
  EXPECT_FALSE(read_rest_path("POST", "/v1/models/m"));
  EXPECT_FALSE(read_rest_path("POST", "/v1/models/m:explain"));
  EXPECT_FALSE(read_rest_path("DELETE", "/v1/models/m"));
  EXPECT_EQ(read_rest_path("GET", "/v1/models/m/versions/99999999999999999999").error().message,
            "Failed to convert version: 99999999999999999999 to numeric.");
}

HttpParser::Step feed(HttpParser& parser, std::string bytes) { return parser.feed(bytes); }

TEST(HttpParserTest, AmbiguousFramingIsRefused) {
  for (const char* bytes :
       {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "POST / HTTP/1.1\r\nX : y\r\n\r\n",
        "POST / HTTP/1.1\r\nX: y\r\n z\r\n\r\n", "POST /a b HTTP/1.1\r\n\r\n", "POST /\r\n\r\n",
        "PO ST / HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc"}) {
    HttpParser parser(HttpLimits{});
    EXPECT_EQ(feed(parser, bytes), HttpParser::Step::Malformed) << bytes;
  }
}

TEST(HttpParserTest, LimitsHaveTheirStatus) {
  HttpParser large(HttpLimits{1000, 10, 100});
  EXPECT_EQ(feed(large, "POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"), HttpParser::Step::Malformed);
  EXPECT_EQ(large.error_status(), 413);
  HttpParser chunks(HttpLimits{1000, 10, 100});
  EXPECT_EQ(feed(chunks, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
            HttpParser::Step::Malformed);
  EXPECT_EQ(chunks.error_status(), 413);
  HttpParser head(HttpLimits{1000, 10, 100});
  EXPECT_EQ(feed(head, "GET /" + std::string(2000, 'a')), HttpParser::Step::Malformed);
  EXPECT_EQ(head.error_status(), 431);
}

TEST(HttpParserTest, PipelinedRequestsComeOneByOne) {
  HttpParser parser(HttpLimits{});
  std::string input = "POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.0\r\n\r\n";
  ASSERT_EQ(parser.feed(input), HttpParser::Step::Complete);
  EXPECT_EQ(parser.request().body, "hi");
  parser.reset();
  ASSERT_EQ(parser.feed(input), HttpParser::Step::Complete);
  EXPECT_EQ(parser.request().target, "/b");
  EXPECT_FALSE(parser.request().keep_alive);
  EXPECT_EQ(input, "");
}

}  // namespace
}  // namespace slip::serving
