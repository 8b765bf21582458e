#include "serving/json/scan.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdlib>

#include "serving/json/hard_numbers.h"

namespace slip::serving {
namespace {

/// The number at the front of `text`.
JsonNumber read(const std::string& text, const std::string& number) {
  JsonScanner scanner(text);
  JsonNumber n;
  EXPECT_TRUE(scanner.number(n)) << number << ": " << scanner.error();
  EXPECT_EQ(scanner.left(), text.size() - number.size()) << number;
  return n;
}

TEST(JsonScanTest, EveryNumberIsTheNearestDouble) {
  test::HardNumbers numbers(7);
  for (int i = 0; i < 200'000; ++i) {
    const std::string number = numbers.next();
    const double expected = std::strtod(number.c_str(), nullptr);
    // at the end of the text, and where whole words can be read behind it
    for (const char* behind : {"", ",", ", 1234567890123456789012]"}) {
      const JsonNumber n = read(number + behind, number);
      ASSERT_EQ(std::bit_cast<std::uint64_t>(n.value), std::bit_cast<std::uint64_t>(expected)) << number;
      ASSERT_EQ(n.negative, number[0] == '-') << number;
    }
  }
}

TEST(JsonScanTest, IntegersKeepAllTheirDigits) {
  for (const char* text :
       {"0", "-0", "7", "12345678", "123456789", "9007199254740993", "-9007199254740993", "999999999999999999",
        "9223372036854775807", "-9223372036854775808", "18446744073709551615"}) {
    for (const char* behind : {"", ", 123456789012345678901]"}) {
      const JsonNumber n = read(std::string(text) + behind, text);
      EXPECT_TRUE(n.integer) << text;
      EXPECT_EQ((n.negative ? "-" : "") + std::to_string(n.magnitude), text);
    }
  }
  for (const char* text : {"1.0", "1e3", "18446744073709551616", "-9223372036854775809"}) {
    EXPECT_FALSE(read(text, text).integer) << text;
  }
}

}  // namespace
}  // namespace slip::serving
