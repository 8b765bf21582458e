#include "gpu/give.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/error.h"
#include "gpu/driver.h"
#include "os/file.h"

namespace slip::gpu {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A machine as its files show it, with two GPUs whose minors are not in the order of their buses.
class Machine : public testing::Test {
 protected:
  Machine() : temp_(testing::TempDir(), "gpu-") {
    write("proc/driver/nvidia/version",
          "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.159.04  Release Build  (nixbld@)\nGCC version: "
          "15\n");
    gpu("0000:01:00.0", "NVIDIA H200", "GPU-aaaa", 1);
    gpu("0000:0a:00.0", "NVIDIA A10", "GPU-bbbb", 0);
    for (const char* node : {"nvidia0", "nvidia1", "nvidiactl", "nvidia-uvm"}) {
      write(std::string("dev/") + node, "");
      chmod(std::string("dev/") + node, 0666);
    }
    library("libcuda.so", "libcuda.so.1");
    library("libnvidia-gpucomp.so", "");
    library("libnvidia-glcore.so", "libnvidia-glcore.so.1");
    write("usr/lib64/libcuda.so.570.1", "left by an older driver");
    write("usr/bin/nvidia-smi", "");
  }
  void write(const std::string& path, const std::string& text) {
    os::make_dirs((root() / path).parent_path());
    os::write_file(root() / path, text);
  }
  void chmod(const std::string& path, mode_t mode) { ASSERT_EQ(::chmod((root() / path).c_str(), mode), 0); }
  void gpu(const std::string& bus, const std::string& model, const std::string& uuid, int minor) {
    write("proc/driver/nvidia/gpus/" + bus + "/information",
          format("Model: \t\t {}\nIRQ:   \t\t 41\nGPU UUID: \t {}\nDevice Minor: \t {}\n", model, uuid, minor));
  }
  void library(const std::string& name, const std::string& soname) {
    write("usr/lib64/" + name + ".580.159.04", name);
    if (!soname.empty()) {
      fs::create_symlink(name + ".580.159.04", root() / "usr/lib64" / soname);
    }
  }
  [[nodiscard]] fs::path root() const { return fs::canonical(temp_.path()); }

  [[nodiscard]] launch::LaunchPlan given(const std::string& which, const std::string& cuda = "") const {
    launch::LaunchPlan plan;
    plan.name = "tf29-dev";
    give_gpus(plan, {which, cuda}, root());
    return plan;
  }
  [[nodiscard]] std::vector<std::string> files(const std::string& which) const {
    std::vector<std::string> found;
    for (const launch::HostFile& file : given(which).host_files) {
      found.push_back(format("{}{} <- {}", file.device ? "device " : "", file.target,
                             file.source.lexically_relative(root()).string()));
    }
    return found;
  }
  [[nodiscard]] std::string refusal(const std::string& which, const std::string& cuda = "") const {
    try {
      (void)given(which, cuda);
    } catch (const Error& error) {
      return error.joined() + " | " + (error.hints().empty() ? "" : error.hints().front());
    }
    return "given";
  }

  os::TempDir temp_;
};

TEST_F(Machine, IsRead) {
  const auto driver = find_driver(root());
  ASSERT_TRUE(driver);
  EXPECT_EQ(driver->version, "580.159.04");
  ASSERT_EQ(driver->gpus.size(), 2U);
  EXPECT_EQ(driver->gpus[0].model, "NVIDIA H200");
  EXPECT_EQ(driver->gpus[0].uuid, "GPU-aaaa");
  EXPECT_EQ(driver->gpus[0].minor, 1U);
}

TEST_F(Machine, GivesNodesAndLibrariesUnderEveryNameTheyHave) {
  EXPECT_THAT(files("all"),
              ElementsAre("device /dev/nvidiactl <- dev/nvidiactl", "device /dev/nvidia-uvm <- dev/nvidia-uvm",
                          "device /dev/nvidia1 <- dev/nvidia1", "device /dev/nvidia0 <- dev/nvidia0",
                          "/run/nvidia/lib/libcuda.so.1 <- usr/lib64/libcuda.so.580.159.04",
                          "/run/nvidia/lib/libcuda.so.580.159.04 <- usr/lib64/libcuda.so.580.159.04",
                          "/run/nvidia/lib/libnvidia-gpucomp.so.580.159.04 <- "
                          "usr/lib64/libnvidia-gpucomp.so.580.159.04",
                          "/run/nvidia/bin/nvidia-smi <- usr/bin/nvidia-smi"));
}

TEST_F(Machine, GivesTheOnesThatAreNamedAndNoOther) {
  EXPECT_THAT(files("0"), testing::Contains("device /dev/nvidia1 <- dev/nvidia1"));
  EXPECT_THAT(files("0"), testing::Not(testing::Contains("device /dev/nvidia0 <- dev/nvidia0")));
  EXPECT_THAT(files("GPU-bbbb"), testing::Contains("device /dev/nvidia0 <- dev/nvidia0"));
  EXPECT_EQ(files("1,GPU-aaaa,1").size(), files("all").size());
  EXPECT_THAT(given("none").host_files, IsEmpty());
  EXPECT_THAT(given("").env, IsEmpty());
}

/// As hosts of virtual machines and of Kubernetes give a driver: /usr/bin has a script that calls the program there.
TEST_F(Machine, WhereTheDriverIsMountedItsOwnProgramIsGiven) {
  fs::remove(root() / "usr/lib64/libcuda.so.580.159.04");
  write("usr/local/nvidia/lib64/libcuda.so.580.159.04", "");
  write("usr/local/nvidia/bin/nvidia-smi", "");
  write("etc/ld.so.conf.d/nvidia.conf", "# the driver\n/usr/local/nvidia/lib64\n");
  EXPECT_THAT(files("0"), testing::Contains("/run/nvidia/bin/nvidia-smi <- usr/local/nvidia/bin/nvidia-smi"));
}

TEST_F(Machine, RefusesWithTheRemedy) {
  EXPECT_EQ(refusal("2"),
            "give `tf29-dev` the GPUs of this machine: there is no GPU `2` | there is 0 (NVIDIA H200, GPU-aaaa), 1 "
            "(NVIDIA A10, GPU-bbbb)");
  EXPECT_EQ(refusal("all", "11.2"), "given");
  chmod("dev/nvidia1", 0600);
  if (::geteuid() == 0) {
    EXPECT_THAT(refusal("all"), HasSubstr("`/dev/nvidia1` may not be opened by its user"));
  }
  EXPECT_EQ(refusal("1"), "given") << "the other one is not asked";
  fs::remove(root() / "dev/nvidia-uvm");
  EXPECT_THAT(refusal("1"), HasSubstr("`/dev/nvidia-uvm` is missing | run `nvidia-modprobe -c0 -u` as root"));
  fs::remove(root() / "usr/lib64/libcuda.so.580.159.04");
  EXPECT_THAT(refusal("1"), HasSubstr("no libcuda.so.580.159.04 beside the loaded driver | after an update"));
  write("proc/driver/nvidia/version", "NVRM version: NVIDIA UNIX x86_64 Kernel Module  440.33.01  Wed Nov 13\n");
  EXPECT_THAT(refusal("1", "11.2"), HasSubstr("CUDA 11.2 needs driver 450.80.02 or newer, and 440.33.01 is loaded"));
  fs::remove(root() / "proc/driver/nvidia/version");
  EXPECT_THAT(refusal("all"), HasSubstr("no NVIDIA driver is loaded | `--gpus none` runs it on the CPU"));
}

TEST(Variables, AreAddedOnce) {
  std::map<std::string, std::string> env = {{"PATH", "/opt/venv/bin:/usr/bin"}, {"LD_LIBRARY_PATH", "/opt/lib"}};
  add_variables(env);
  add_variables(env);
  EXPECT_EQ(env["PATH"], "/opt/venv/bin:/usr/bin:/run/nvidia/bin");
  EXPECT_EQ(env["LD_LIBRARY_PATH"], "/run/nvidia/lib:/opt/lib");
  std::map<std::string, std::string> empty;
  add_variables(empty);
  EXPECT_EQ(empty["LD_LIBRARY_PATH"], "/run/nvidia/lib");
}

TEST(Versions, AreComparedAsNumbers) {
  EXPECT_TRUE(is_older("450.51.06", "450.80.02"));
  EXPECT_TRUE(is_older("99.1", "450.80.02"));
  EXPECT_FALSE(is_older("450.80.02", "450.80.2"));
  EXPECT_FALSE(is_older("580.159.04", "580.65.06"));
  EXPECT_TRUE(is_older("580", "580.1"));
  EXPECT_EQ(oldest_driver_for("11.2"), "450.80.02");
  EXPECT_EQ(oldest_driver_for("9.0"), "");
}

}  // namespace
}  // namespace slip::gpu
