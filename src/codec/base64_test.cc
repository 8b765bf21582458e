#include "codec/base64.h"

#include <gtest/gtest.h>

namespace slip::codec {
namespace {

TEST(Base64, RoundTripAndRefusals) {
  for (const std::string text : {"", "a", "ab", "abc", "\xff\0x"}) {
    EXPECT_EQ(text, unbase64(base64(text)));
  }
  for (const char* text : {"YQ", "YQ=", "Y===", "Y Q=", "YR==", "%%%%"}) {
    EXPECT_FALSE(unbase64(text)) << text;
  }
}

}  // namespace
}  // namespace slip::codec
