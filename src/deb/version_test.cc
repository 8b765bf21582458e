#include "deb/version.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <random>

#include "os/process.h"

namespace slip::deb {
namespace {

/// Texts from the characters and shapes in which the order has its corners.
std::string random_version(std::mt19937& random) {
  static constexpr std::string_view kPieces[] = {"0", "1", "9", "10", "01",  "~",       "~~", "+",
                                                 ".", "a", "b", "Z",  "rc1", "deb11u1", "-1", "+b1"};
  std::string text = random() % 4 == 0 ? std::to_string(random() % 3) + ":" : "";
  text += std::to_string(random() % 3);
  for (auto i = random() % 5; i > 0; --i) {
    text += kPieces[random() % std::size(kPieces)];
  }
  return text;
}

int order(const std::string& a, const std::string& b) {
  const auto found = compare_versions(a, b);
  return found < 0 ? -1 : found > 0 ? 1 : 0;
}

TEST(version, parses_and_writes_back) {
  for (const char* text : {"1", "1.0-1", "2:8.2.2434-3+deb11u3", "1.1.1w-0+deb11u8", "20250419~deb12u1~deb11u1",
                           "5.32.1-4", "0.5.11+git20200708+dd9ef66-5", "1-2-3", "1:2:3"}) {
    const auto version = Version::parse(text);
    ASSERT_TRUE(version) << text;
    EXPECT_EQ(version->text(), text);
  }
  EXPECT_EQ(Version::parse("2:8.2-3-4")->upstream, "8.2-3");
  EXPECT_EQ(Version::parse("2:8.2-3-4")->revision, "4");
  EXPECT_EQ(Version::parse("2:8.2-3-4")->epoch, 2U);
}

TEST(version, refuses_what_the_grammar_does_not_allow) {
  for (const char* text : {"", "-1", ":1", "a:1", "1-", "1 2", "1_2", "1:", "99999999999:1", "v1", "1/2", "1\n"}) {
    EXPECT_FALSE(Version::parse(text)) << text;
  }
}

TEST(version, order_has_its_known_corners) {
  EXPECT_LT(order("1.0~rc1", "1.0"), 0);
  EXPECT_LT(order("1.0~~", "1.0~"), 0);
  EXPECT_LT(order("1.0", "1.0a"), 0);
  EXPECT_LT(order("1.0a", "1.0+"), 0);
  EXPECT_LT(order("1.9", "1.10"), 0);
  EXPECT_LT(order("9", "1:0"), 0);
  EXPECT_EQ(order("1.0", "1.00"), 0);
  EXPECT_EQ(order("1", "0:1-0"), 0);
  EXPECT_LT(order("1.0-1", "1.0-1+b1"), 0);
}

TEST(version, order_is_total) {
  std::mt19937 random(7);
  for (int i = 0; i < 20'000; ++i) {
    const std::string a = random_version(random);
    const std::string b = random_version(random);
    const std::string c = random_version(random);
    EXPECT_EQ(order(a, a), 0) << a;
    EXPECT_EQ(order(a, b), -order(b, a)) << a << " " << b;
    if (order(a, b) <= 0 && order(b, c) <= 0) {
      EXPECT_LE(order(a, c), 0) << a << " " << b << " " << c;
    }
  }
}

TEST(version, relations_follow_the_order) {
  std::mt19937 random(8);
  for (int i = 0; i < 2000; ++i) {
    const std::string a = random_version(random);
    const std::string b = random_version(random);
    EXPECT_NE(satisfies(a, Relation::Earlier, b), satisfies(a, Relation::LaterEqual, b));
    EXPECT_NE(satisfies(a, Relation::Later, b), satisfies(a, Relation::EarlierEqual, b));
    EXPECT_EQ(satisfies(a, Relation::Equal, b),
              satisfies(a, Relation::LaterEqual, b) && satisfies(a, Relation::EarlierEqual, b));
    EXPECT_TRUE(satisfies(a, Relation::Any, b));
  }
}

TEST(version, dpkg_agrees) {
  if (!std::filesystem::exists("/usr/bin/dpkg")) {
    GTEST_SKIP() << "dpkg is not installed";
  }
  std::mt19937 random(9);
  std::string script;
  std::vector<std::string> pairs;
  std::string expected;
  for (int i = 0; i < 400; ++i) {
    const std::string a = random_version(random);
    const std::string b = random_version(random);
    if (!Version::parse(a) || !Version::parse(b)) {
      continue;
    }
    const int found = order(a, b);
    script += "for r in lt eq gt; do dpkg --compare-versions '" + a + "' $r '" + b + "' && echo '" + a + "' $r '" + b +
              "'; done\n";
    expected += a + (found < 0 ? " lt " : found > 0 ? " gt " : " eq ") + b + "\n";
  }
  os::Command command;
  command.argv = {"sh", "-c", script + "true"};
  EXPECT_EQ(os::run_checked(command), expected);
}

}  // namespace
}  // namespace slip::deb
