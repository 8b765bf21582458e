#include "serving/tfs/warmup.h"

#include <gtest/gtest.h>

#include "serving/tf/fixture.h"

namespace slip::serving {
namespace {

class WarmupTest : public test::WithTensorflow {
 protected:
  static Servable servable(const std::string& name) { return {"m", 1, load(name)}; }
};

TEST_F(WarmupTest, EverySignatureThatTakesZerosRuns) {
  EXPECT_EQ(warm_up_signatures(servable("half_plus_two_tf2/1"), 1), 1u);
  EXPECT_EQ(warm_up_signatures(servable("lookup/1"), 1), 1u);
  // the two that read Examples refuse an empty text
  EXPECT_EQ(warm_up_signatures(servable("half_plus_two/123"), 1), 1u);
}

TEST_F(WarmupTest, ItRunsForReal) {
  const Servable counter = servable("counter/1");
  const auto count = [&] {
    const auto got = counter.model->run(*counter.model->method(""), {});
    return got ? (*got)[0].as<float>()[0] : -1;
  };
  EXPECT_EQ(count(), 1.0f);
  warm_up_signatures(counter, 5);
  EXPECT_GT(count(), 6.0f);
}

}  // namespace
}  // namespace slip::serving
