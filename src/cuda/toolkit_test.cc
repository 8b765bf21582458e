#include "cuda/toolkit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::cuda {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

Wanted wanted(std::string cuda, std::string cudnn, std::string suite = "bullseye") {
  return {std::move(cuda), std::move(cudnn), std::move(suite), "3.9", "slipway.yaml:4:14"};
}

TEST(toolkit, what_tensorflow_2_9_was_built_for_comes_from_bullseye) {
  const Parts parts = parts_of(wanted("11.2", "8"));
  EXPECT_THAT(parts.debs, ElementsAre("libcublas11", "libcudart11.0", "libcufft10", "libcupti11.2", "libcurand10",
                                      "libcusolver11", "libcusparse11"));
  EXPECT_THAT(parts.requirements, ElementsAre("nvidia-cudnn-cu11==8.*"));
  ASSERT_THAT(parts.constraints, SizeIs(1));
  EXPECT_EQ(parts.constraints[0].text, "nvidia-cudnn-cu11<8.6");
  ASSERT_THAT(parts.left_out, SizeIs(1));
  EXPECT_EQ(parts.left_out[0].text, "nvidia-cublas-cu11");
  EXPECT_THAT(parts.sonames, SizeIs(15));
  for (const char* name : {"libcublasLt.so.11", "libcupti.so.11.2", "libcudnn.so.8", "libcudnn_cnn_infer.so.8"}) {
    EXPECT_THAT(parts.sonames, Contains(name));
  }
}

TEST(toolkit, versions_are_as_exact_as_they_are_written) {
  for (const char* version : {"11", "11.2", "11.2.2"}) {
    EXPECT_THAT(parts_of(wanted(version, "8")).debs, Contains("libcupti11.2")) << version;
  }
  EXPECT_THAT(parts_of(wanted("11", "8", "bookworm")).debs, Contains("libcupti11.8"));
  EXPECT_THROW(parts_of(wanted("1", "8")), Error);
  EXPECT_THROW(parts_of(wanted("11.2.1", "8")), Error);
  // A cuDNN that is named is not held back.
  const Parts exact = parts_of(wanted("11.2", "8.9"));
  EXPECT_THAT(exact.requirements, ElementsAre("nvidia-cudnn-cu11==8.9.*"));
  EXPECT_THAT(exact.constraints, IsEmpty());
}

TEST(toolkit, other_versions_are_wheels_that_bring_their_own_cublas) {
  const Parts parts = parts_of(wanted("11.8", "8"));
  EXPECT_THAT(parts.debs, IsEmpty());
  EXPECT_THAT(parts.requirements, SizeIs(8));
  EXPECT_THAT(parts.requirements, Contains("nvidia-cublas-cu11==11.11.*"));
  EXPECT_THAT(parts.constraints, IsEmpty());
  EXPECT_THAT(parts.left_out, IsEmpty());
  for (const auto& [version, suite] :
       {std::pair{"11.7", "bullseye"}, {"11.7", "bookworm"}, {"11.7", "trixie"}, {"11.8", "trixie"}}) {
    EXPECT_THAT(parts_of(wanted(version, "8", suite)).requirements,
                Contains(std::string("nvidia-cuda-runtime-cu11==") + version + ".*"))
        << suite;
  }
}

TEST(toolkit, what_nobody_has_is_refused_with_what_there_is) {
  try {
    parts_of(wanted("11.5", "8"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Unsupported);
    EXPECT_STREQ(error.what(), "slipway.yaml:4:14: there is no CUDA 11.5 for bullseye");
    EXPECT_THAT(error.hints(),
                ElementsAre("there is 11.2.2 (Debian's packages), 11.8 (NVIDIA's wheels), 11.7 (NVIDIA's wheels)"));
  }
  try {
    parts_of(wanted("11.2", "9"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_THAT(error.what(), HasSubstr("there is no cuDNN 9 for CUDA 11.2.2"));
  }
  Wanted without_python = wanted("11.2", "8");
  without_python.python.clear();
  EXPECT_THROW(parts_of(without_python), Error);
}

TEST(toolkit, frameworks_of_another_major_version_do_not_fit) {
  EXPECT_EQ(misfit({"tensorflow", "11.2", "8"}, "11.8", "8.9"), "");
  EXPECT_THAT(misfit({"tensorflow", "", ""}, "11.2", "8"), HasSubstr("built without CUDA"));
  EXPECT_EQ(misfit({"tensorflow", "12.5.1", "9"}, "11.2", "8"),
            "tensorflow is built for CUDA 12.5.1, and the image brings 11.2");
  EXPECT_EQ(misfit({"tensorflow", "11.2", "9"}, "11.2", "8"),
            "tensorflow is built for cuDNN 9, and the image brings 8");
}

TEST(toolkit, wheels_whose_libraries_need_links) {
  EXPECT_TRUE(brings_libraries("nvidia-cudnn-cu11"));
  EXPECT_FALSE(brings_libraries("tensorflow"));
}

}  // namespace
}  // namespace slip::cuda
