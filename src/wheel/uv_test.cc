#include "wheel/uv.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::wheel {
namespace {

TEST(Pins, UvsAnswerIsRead) {
  const auto pins = parse_pins(
      "absl-py==2.3.1\n    # via\n    #   keras\n    #   tensorflow\n"
      "numpy==1.26.4\n    # via\n    #   -c constraints.txt\n    #   -r requirements.in\n    #   h5py\n"
      "Black==25.11.0 ; python_version < '4'\n    # via -r requirements.in\n");
  ASSERT_EQ(pins.size(), 3U);
  EXPECT_EQ(pins[0].name, "absl-py");
  EXPECT_EQ(pins[0].via, (std::vector<std::string>{"keras", "tensorflow"}));
  EXPECT_EQ(pins[1].name, "black");
  EXPECT_EQ(pins[1].version, "25.11.0");
  EXPECT_TRUE(pins[1].via.empty());
  EXPECT_EQ(pins[2].via, (std::vector<std::string>{"h5py"}));
}

TEST(Pins, WhatPinsNothingIsAnError) { EXPECT_THROW(parse_pins("x @ file:///y\n"), Error); }

}  // namespace
}  // namespace slip::wheel
