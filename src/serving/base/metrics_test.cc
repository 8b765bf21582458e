#include "serving/base/metrics.h"

#include <gtest/gtest.h>

namespace slip::serving {
namespace {

TEST(MetricsTest, ForgetsWhatHasTheLabelAndNothingElse) {
  Metrics metrics;
  metrics.counter("loads", {{"model_path", "/m/1"}, {"status", "success"}}) = 1;
  metrics.counter("loads", {{"model_path", "/m/11"}, {"status", "success"}}) = 2;
  metrics.counter("loads", {{"other_model_path", "/m/1"}}) = 3;
  metrics.counter("loads", {{"note", "a \",model_path=\"/m/1\", b"}}) = 4;
  metrics.latency("warmup", {{"status", "OK"}, {"model_path", "/m/1"}}).observe(5);
  metrics.forget("model_path", "/m/1");
  const std::string text = metrics.text();
  EXPECT_EQ(text.find("{model_path=\"/m/1\""), std::string::npos) << text;
  EXPECT_EQ(text.find("warmup_count"), std::string::npos) << text;
  for (const char* kept : {"loads{model_path=\"/m/11\",status=\"success\"} 2", "loads{other_model_path=\"/m/1\"} 3",
                           "loads{note=\"a \\\",model_path=\\\"/m/1\\\", b\"} 4"}) {
    EXPECT_NE(text.find(kept), std::string::npos) << kept << "\n" << text;
  }
}

TEST(MetricsTest, NamesThatClientsInventDoNotFillTheMemory) {
  Metrics metrics;
  for (std::size_t i = 0; i < Metrics::kMostSeries + 500; ++i) {
    ++metrics.counter("requests", {{"model_name", "m" + std::to_string(i)}});
  }
  ++metrics.counter("requests", {{"model_name", "m7"}});
  const std::string text = metrics.text();
  EXPECT_NE(text.find("requests{overflow=\"true\"} 500\n"), std::string::npos);
  EXPECT_NE(text.find("requests{model_name=\"m7\"} 2\n"), std::string::npos);
  EXPECT_EQ(text.find("m" + std::to_string(Metrics::kMostSeries) + "\""), std::string::npos);
}

}  // namespace
}  // namespace slip::serving
