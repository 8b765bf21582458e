#include "serving/models/config.h"

#include <gtest/gtest.h>

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

}  // namespace
}  // namespace slip::serving
