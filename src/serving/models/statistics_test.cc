#include "serving/models/statistics.h"

#include <gtest/gtest.h>

namespace slip::serving {
namespace {

using std::chrono::nanoseconds;

TEST(StatisticsTest, ABatchCountsOnceForEachOfItsRequests) {
  Statistics statistics;
  EXPECT_EQ(statistics.snapshot().last_request_ms, 0u);
  statistics.note_run({3, 5, 8}, nanoseconds(100));
  statistics.note_run({1, 8, 8}, nanoseconds(50));
  statistics.note_queue(nanoseconds(7));
  statistics.note_request(true, nanoseconds(200));
  statistics.note_request(false, nanoseconds(20));
  const auto now = statistics.snapshot();
  EXPECT_EQ(now.executions, 2u);
  EXPECT_EQ(now.inferences, 13u);
  EXPECT_EQ(now.compute.count, 4u);
  EXPECT_EQ(now.compute.ns, 350u);
  EXPECT_EQ(now.queue.ns, 7u);
  EXPECT_EQ(now.success.ns, 200u);
  EXPECT_EQ(now.fail.count, 1u);
  EXPECT_GT(now.last_request_ms, 0u);
  ASSERT_EQ(now.batches.size(), 1u);
  EXPECT_EQ(now.batches.at(8).count, 2u);
  EXPECT_EQ(now.batches.at(8).ns, 150u);
}

TEST(StatisticsTest, SizesThatClientsChooseDoNotGrowItForEver) {
  Statistics statistics;
  for (std::int64_t rows = 1; rows <= 3000; ++rows) {
    statistics.note_run({1, 1, rows}, nanoseconds(1));
  }
  statistics.note_run({1, 1, 1}, nanoseconds(1));
  EXPECT_EQ(statistics.snapshot().batches.size(), Statistics::kMostSizes);
  EXPECT_EQ(statistics.snapshot().batches.at(1).count, 2u);
  EXPECT_EQ(statistics.snapshot().executions, 3001u);
}

}  // namespace
}  // namespace slip::serving
