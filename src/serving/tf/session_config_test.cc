#include "serving/tf/session_config.h"

#include <gtest/gtest.h>

namespace slip::serving {
namespace {

TEST(SessionConfigTest, TextBecomesWireBytes) {
  const auto bytes = read_session_config(
      "intra_op_parallelism_threads: 3 graph_options { rewrite_options { remapping: OFF } } "
      "device_count { key: \"CPU\" value: 2 }");
  ASSERT_TRUE(bytes) << bytes.error().message;
  EXPECT_EQ(*bytes, std::string("\x10\x03\x52\x04\x52\x02\x70\x02\x0a\x07\x0a\x03"
                                "CPU\x10\x02"));
  EXPECT_EQ(*read_session_config("graph_options { optimizer_options { global_jit_level: OFF } }"),
            std::string("\x52\x0d\x1a\x0b\x28\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"));
  const auto unknown = read_session_config("\nplacement_period: 3");
  ASSERT_FALSE(unknown);
  EXPECT_NE(unknown.error().message.find("placement_period"), std::string::npos) << unknown.error().message;
  EXPECT_FALSE(read_session_config("gpu_options { allow_growth: perhaps }"));
}

}  // namespace
}  // namespace slip::serving
