#include "wheel/choice.h"

#include "core/error.h"
#include "wheel/index_fixture.h"

namespace slip::wheel {
namespace {

constexpr const char* kOld = "4ffe5c36e45552d98ff1b0a7edfa7592626e307515affbb11924bf48da40989a";
constexpr const char* kNew = "1887212f3ca9d4487d624c0705c20dfdf03d5a0b9ea2557d3aaeeb4c38bdcabb";

std::string entry(const std::string& file, const std::string& hash, const std::string& uploaded) {
  return R"({"filename":")" + file + R"(","url":"/files/)" + file + R"(","hashes":{"sha256":")" + hash +
         R"("},"size":7,"upload-time":")" + uploaded + R"("})";
}

/// An index with one version in two wheels, the better one uploaded later.
class Choice : public IndexTest {
 protected:
  Choice() {
    serve("application/vnd.pypi.simple.v1+json",
          "{\"files\":[" + entry("x-1.0-py3-none-any.whl", kOld, "2024-06-01T10:30:00Z") + "," +
              entry("x-1.0-cp39-cp39-manylinux2014_x86_64.whl", kNew, "2024-06-01T11:30:00Z") + "]}");
    target_.python = "3.9";
    target_.glibc = "2.31";
  }

  File choose(const std::string& exclude_newer, std::vector<std::string> hashes = {}) {
    return choose_files({{"x", "1.0", std::move(hashes)}}, "pypi", target_, exclude_newer, config_, client_, store_)
        .at(0);
  }

  Target target_;
};

TEST_F(Choice, WhatWasUploadedTooLateIsNotTaken) {
  EXPECT_EQ(choose("2024-06-01T12:00:00Z").sha256, Digest::from(kNew));
  EXPECT_EQ(choose("2024-06-01T11:00:00Z").sha256, Digest::from(kOld));
  // The same moment, told in another zone.
  EXPECT_EQ(choose("2024-06-01T13:00:00+02:00").sha256, Digest::from(kOld));
  EXPECT_THROW(choose("2024-06-01T10:00:00Z"), Error);
}

TEST_F(Choice, AmongEqualsTheHighestBuildTagIsTaken) {
  std::vector<IndexFile> offered;
  for (const char* build : {"", "-10", "-9"}) {
    offered.push_back({std::string("x-1.0") + build + "-py3-none-any.whl", "", Digest::from(kOld), 7, "", "", false});
  }
  EXPECT_EQ(choose_file({"x", "1.0", {}}, offered, target_, "2024-06-01T12:00:00Z").file, "x-1.0-10-py3-none-any.whl");
}

TEST_F(Choice, TheSameQuestionIsNotAskedTwice) {
  const File first = choose("2024-06-01T12:00:00Z");
  const File second = choose("2024-06-01T12:00:00Z");
  EXPECT_EQ(server_.count("/simple/x/"), 1U);
  EXPECT_EQ(second.file, first.file);
  EXPECT_EQ(second.sha256, first.sha256);
  EXPECT_EQ(second.size, 7U);
  EXPECT_EQ(second.url, server_.url("/files/x-1.0-cp39-cp39-manylinux2014_x86_64.whl"));
  EXPECT_FALSE(second.sdist);
}

TEST_F(Choice, AnswersAreNotKeptForAnotherTargetOrATimeToCome) {
  (void)choose("2024-06-01T12:00:00Z");
  target_.python = "3.11";
  EXPECT_EQ(choose("2024-06-01T12:00:00Z").sha256, Digest::from(kOld));
  EXPECT_EQ(server_.count("/simple/x/"), 2U);
  (void)choose("2999-01-01T00:00:00Z");
  (void)choose("2999-01-01T00:00:00Z");
  EXPECT_EQ(server_.count("/simple/x/"), 4U);
}

TEST_F(Choice, ARequiredHashHoldsAlsoForWhatIsKnown) {
  (void)choose("2024-06-01T12:00:00Z", {std::string("sha256:") + kNew});
  EXPECT_THROW(choose("2024-06-01T12:00:00Z", {std::string("sha256:") + kOld}), Error);
}

}  // namespace
}  // namespace slip::wheel
