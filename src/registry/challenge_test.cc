#include "registry/challenge.h"

#include <gtest/gtest.h>

namespace slip::registry {
namespace {

TEST(Challenge, BearerWithScope) {
  const auto found = parse_challenges(
      R"(Bearer realm="https://auth.example/token",service="r.example",scope="repository:a/b:pull,push")");
  ASSERT_EQ(1u, found.size());
  EXPECT_EQ("bearer", found[0].scheme);
  EXPECT_EQ("https://auth.example/token", found[0].params.at("realm"));
  EXPECT_EQ("repository:a/b:pull,push", found[0].params.at("scope"));
}

TEST(Challenge, SeveralInOneField) {
  const auto found = parse_challenges(R"(Negotiate, Basic realm="a, \"b\"", Bearer realm=plain , service = "s")");
  ASSERT_EQ(3u, found.size());
  EXPECT_EQ("negotiate", found[0].scheme);
  EXPECT_EQ("a, \"b\"", found[1].params.at("realm"));
  EXPECT_EQ("plain", found[2].params.at("realm"));
  EXPECT_EQ("s", found[2].params.at("service"));
}

TEST(Challenge, MalformedEndsTheList) {
  EXPECT_TRUE(parse_challenges("").empty());
  EXPECT_TRUE(parse_challenges(" ,, ").empty());
  EXPECT_EQ(1u, parse_challenges(R"(Basic realm="never closed)").size());
  EXPECT_TRUE(parse_challenges("\x01\x02").empty());
}

}  // namespace
}  // namespace slip::registry
