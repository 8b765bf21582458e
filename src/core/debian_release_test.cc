#include "core/debian_release.h"

#include <gtest/gtest.h>

namespace slip {
namespace {

TEST(DebianRelease, IsFoundByNameAndByPython) {
  EXPECT_EQ(debian_release("bullseye")->python, "3.9");
  EXPECT_EQ(debian_release_with_python("3.13")->name, "trixie");
  EXPECT_EQ(debian_release("sid"), nullptr);
  EXPECT_EQ(debian_release_with_python("2.7"), nullptr);
  EXPECT_FALSE(debian_release("bullseye")->merged_usr);
  EXPECT_TRUE(debian_release("bookworm")->merged_usr);
}

TEST(DebianRelease, StandOldestFirstAndEachPythonOnce) {
  const auto releases = debian_releases();
  for (std::size_t i = 1; i < releases.size(); ++i) {
    EXPECT_LT(std::stoi(std::string(releases[i - 1].number)), std::stoi(std::string(releases[i].number)));
    EXPECT_LT(releases[i - 1].fixes_until, releases[i].fixes_until);
    EXPECT_EQ(debian_release_with_python(releases[i].python), &releases[i]);
  }
}

}  // namespace
}  // namespace slip
