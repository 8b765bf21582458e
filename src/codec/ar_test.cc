#include "codec/ar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/testing.h"

namespace slip::codec {
namespace {

using testing::HasSubstr;

std::string member(std::string name, const std::string& bytes) {
  name.resize(16, ' ');
  std::string size = std::to_string(bytes.size());
  size.resize(10, ' ');
  return name + "1600000000  0     0     100644  " + size + "`\n" + bytes + (bytes.size() % 2 == 1 ? "\n" : "");
}

const std::string kMagic = "!<arch>\n";

std::string refusal(const std::string& archive) {
  return message(ErrorKind::Invalid, [&] { (void)read_ar(as_bytes(archive), "a.deb"); });
}

TEST(Ar, MembersOfOddSizeArePadded) {
  const std::string archive = kMagic + member("debian-binary", "2.0\n") + member("odd/", "abc") + member("last", "d");
  const auto members = read_ar(as_bytes(archive), "a.deb");
  ASSERT_EQ(members.size(), 3U);
  EXPECT_EQ(members[0].name, "debian-binary");
  EXPECT_EQ(members[1].name, "odd") << "System V's trailing slash";
  EXPECT_EQ(as_text(members[1].bytes), "abc");
  EXPECT_EQ(as_text(members[2].bytes), "d");
}

TEST(Ar, TheLastPaddingByteMayBeMissing) {
  std::string archive = kMagic + member("last", "d");
  archive.pop_back();
  EXPECT_EQ(as_text(read_ar(as_bytes(archive), "a.deb").at(0).bytes), "d");
  EXPECT_TRUE(read_ar(as_bytes(kMagic), "a.deb").empty());
}

TEST(Ar, WhatBinutilsWriteIsRead) {
  const Scratch scratch;
  if (std::system("command -v ar > /dev/null") != 0) {
    GTEST_SKIP() << "no ar(1) on this machine";
  }
  (void)scratch.shell("printf one > a && printf four > b && ar rcD x.a a b");
  const std::string archive = scratch.read("x.a");
  const auto members = read_ar(as_bytes(archive), "x.a");
  ASSERT_EQ(members.size(), 2U);
  EXPECT_EQ(members[0].name, "a");
  EXPECT_EQ(as_text(members[0].bytes), "one");
  EXPECT_EQ(as_text(members[1].bytes), "four");
}

TEST(Ar, DamageIsNamedWithItsPlace) {
  EXPECT_THAT(refusal(""), HasSubstr("a.deb at byte 0: not an ar archive"));
  EXPECT_THAT(refusal("!<arch>"), HasSubstr("not an ar archive"));
  const std::string good = kMagic + member("a", "abcd");
  EXPECT_THAT(refusal(good.substr(0, 40)), HasSubstr("a.deb at byte 8: a member's header is damaged"));
  EXPECT_THAT(refusal(good.substr(0, good.size() - 1)), HasSubstr("a member is longer than the archive"));
  const auto size = [&](const std::string& digits) { return std::string(good).replace(56, 10, digits); };
  EXPECT_THAT(refusal(size("4x        ")), HasSubstr("a member's size is not a number"));
  EXPECT_THAT(refusal(size("          ")), HasSubstr("a member's size is not a number"));
  EXPECT_THAT(refusal(size("-4        ")), HasSubstr("a member's size is not a number"));
  EXPECT_THAT(refusal(size("9999999999")), HasSubstr("a member is longer than the archive"));
  std::string many = kMagic;
  for (int i = 0; i < 65; ++i) {
    many += member("m", "");
  }
  EXPECT_THAT(refusal(many), HasSubstr("too many members"));
}

}  // namespace
}  // namespace slip::codec
