#include "inspect/doctor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "os/file.h"

namespace slip::inspect {
namespace {

using testing::HasSubstr;

TEST(Doctor, Kernel) {
  EXPECT_TRUE(check_kernel("6.1.0-18-amd64").ok);
  EXPECT_TRUE(check_kernel("5.11.0").ok);
  EXPECT_FALSE(check_kernel("5.10.0-28-amd64").ok);
  EXPECT_FALSE(check_kernel("4.18.0").ok);
}

TEST(Doctor, Clock) {
  constexpr std::int64_t kThen = 784111777;  // the example of RFC 9110 5.6.7
  EXPECT_TRUE(check_clock("Sun, 06 Nov 1994 08:49:37 GMT", kThen).ok);
  EXPECT_TRUE(check_clock("Sun, 06 Nov 1994 08:49:37 GMT", kThen + 299).ok);
  const Finding ahead = check_clock("Sun, 06 Nov 1994 08:49:37 GMT", kThen + 3600);
  EXPECT_FALSE(ahead.ok);
  EXPECT_THAT(ahead.found, HasSubstr("3600 s ahead of"));
  EXPECT_THAT(check_clock("Sun, 06 Nov 1994 08:49:37 GMT", kThen - 3600).found, HasSubstr("behind"));
  EXPECT_FALSE(check_clock("yesterday", kThen).exception.empty());
}

TEST(Doctor, Space) {
  EXPECT_TRUE(check_space(50'000'000'000, 1'000'000, "/").ok);
  EXPECT_TRUE(check_space(50'000'000'000, 0, "/").ok) << "a file system that counts no nodes";
  EXPECT_FALSE(check_space(1'000'000'000, 1'000'000, "/").ok);
  EXPECT_FALSE(check_space(50'000'000'000, 100, "/").ok);
}

class Gpu : public testing::Test {
 protected:
  Gpu() : temp_(testing::TempDir(), "gpu-") {}
  void write(const std::string& path, const std::string& text) {
    os::make_dirs((temp_.path() / path).parent_path());
    os::write_file(temp_.path() / path, text, 0666);
  }
  void driver(const std::string& version) {
    write("proc/driver/nvidia/version",
          "NVRM version: NVIDIA UNIX x86_64 Kernel Module  " + version + "  Sun May 12\nGCC\n");
    write("usr/lib/x86_64-linux-gnu/libcuda.so." + version, "");
  }
  std::map<std::string, Finding> look() {
    std::map<std::string, Finding> findings;
    for (const Finding& finding : check_gpu(temp_.path())) {
      findings.emplace(finding.id, finding);
    }
    return findings;
  }
  os::TempDir temp_;
};

TEST_F(Gpu, None) {
  const auto found = look();
  EXPECT_TRUE(found.at("gpu").ok);
  EXPECT_EQ(found.size(), 1U);
}

TEST_F(Gpu, AllIsThere) {
  driver("535.183.01");
  write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: \t\t NVIDIA A100\nIRQ: 1\n");
  write("dev/nvidiactl", "");
  write("dev/nvidia-uvm", "");
  const auto found = look();
  EXPECT_EQ(found.at("gpu").found, "driver 535.183.01, NVIDIA A100");
  for (const auto& [id, finding] : found) {
    EXPECT_TRUE(finding.ok) << id;
  }
}

/// As on machines that mount the driver: its folder is named by the loader's configuration.
TEST_F(Gpu, ALibraryWhereTheLoaderLooks) {
  write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release\n");
  write("usr/local/nvidia/lib64/libcuda.so.580.159.04", "");
  EXPECT_FALSE(look().at("gpu library").ok);
  write("etc/ld.so.conf.d/nvidia.conf", "# the driver\n/usr/local/nvidia/lib64\n");
  EXPECT_EQ(look().at("gpu library").found, "/usr/local/nvidia/lib64/libcuda.so.580.159.04");
}

TEST_F(Gpu, NodesThatAreClosed) {
  driver("535.183.01");
  write("dev/nvidiactl", "");
  write("dev/nvidia-uvm", "");
  ASSERT_EQ(::chmod((temp_.path() / "dev/nvidia-uvm").c_str(), 0000), 0);
  EXPECT_EQ(look().at("gpu access").found, "/dev/nvidia-uvm closed to its user");
}

TEST_F(Gpu, WhatIsMissingIsNamedWithItsRemedy) {
  driver("440.33.01");
  write("usr/lib/x86_64-linux-gnu/libcuda.so.440.33.01", "");
  write("dev/nvidiactl", "");
  const auto found = look();
  EXPECT_FALSE(found.at("gpu").ok);
  EXPECT_THAT(found.at("gpu nodes").hint, HasSubstr("nvidia-modprobe"));
  EXPECT_THAT(found.at("gpu nodes").found, HasSubstr("/dev/nvidia-uvm"));
  EXPECT_TRUE(found.at("gpu library").ok);
}

TEST_F(Gpu, ALibraryOfAnotherVersionAndAHopper) {
  driver("535.183.01");
  std::filesystem::remove(temp_.path() / "usr/lib/x86_64-linux-gnu/libcuda.so.535.183.01");
  write("usr/lib/x86_64-linux-gnu/libcuda.so.530.30.02", "");
  write("proc/driver/nvidia/gpus/0000:01:00.0/information", "Model: NVIDIA H100 80GB HBM3\n");
  const auto found = look();
  EXPECT_FALSE(found.at("gpu library").ok);
  EXPECT_THAT(found.at("gpu age").exception, HasSubstr("CUDA_CACHE_PATH"));
}

}  // namespace
}  // namespace slip::inspect
