#include "wheel/gaps.h"

#include <gtest/gtest.h>

namespace slip::wheel {
namespace {

std::vector<std::string> added(const std::map<std::string, std::string>& pins,
                               const std::vector<std::string>& overruled = {}) {
  std::vector<std::string> constraints;
  for (const AddedConstraint& a : missing_constraints(pins, overruled)) {
    constraints.push_back(a.constraint);
  }
  return constraints;
}

const std::map<std::string, std::string> kSeed = {{"tensorflow", "2.9.0"},
                                                  {"numpy", "2.0.2"},
                                                  {"protobuf", "6.33.6"},
                                                  {"setuptools", "82.0.1"},
                                                  {"tensorboard", "2.9.0"}};

TEST(Gaps, TheSeedNeedsThree) {
  EXPECT_EQ(added(kSeed), (std::vector<std::string>{"numpy<2", "protobuf<3.20", "setuptools<81"}));
}

TEST(Gaps, ANotebookCanImportAnOldMatplotlib) {
  EXPECT_EQ(added({{"matplotlib", "3.6.3"}, {"matplotlib-inline", "0.2.2"}}),
            (std::vector<std::string>{"matplotlib-inline<0.2"}));
  EXPECT_TRUE(added({{"matplotlib", "3.7.0"}, {"matplotlib-inline", "0.2.2"}}).empty());
}

TEST(Gaps, OverruledOnesAreLeftOut) {
  EXPECT_EQ(added(kSeed, {"numpy", "setuptools"}), (std::vector<std::string>{"protobuf<3.20"}));
}

TEST(Gaps, LaterReleasesSayItThemselves) {
  EXPECT_TRUE(added({{"tensorflow", "2.18.0"}, {"numpy", "2.0.2"}, {"protobuf", "5.29"}}).empty());
  EXPECT_EQ(added({{"tensorflow", "2.9.3"}, {"numpy", "2.0.2"}, {"protobuf", "3.19.6"}}),
            (std::vector<std::string>{"numpy<2"}));
}

TEST(Gaps, OnlyWhatIsInTheSetIsConstrained) {
  EXPECT_TRUE(added({{"tensorflow", "2.9.0"}}).empty());
  EXPECT_TRUE(added({{"numpy", "2.0.2"}}).empty());
}

TEST(Gaps, EachIsNamedOnceWithTheReleaseThatNeedsIt) {
  const auto all = missing_constraints({{"pandas", "1.5.3"}, {"scikit-learn", "1.2.2"}, {"numpy", "2.0.2"}}, {});
  ASSERT_EQ(all.size(), 1U);
  EXPECT_NE(all[0].because.find("pandas 1.5.3 "), std::string::npos);
}

}  // namespace
}  // namespace slip::wheel
