#include "workspace/unit.h"

#include <gtest/gtest.h>

#include "os/process.h"

namespace slip::workspace {
namespace {

namespace fs = std::filesystem;

class Unit : public testing::Test {
 protected:
  os::TempDir dir_{fs::temp_directory_path(), "slipway-unit-"};
  UnitInput input_{{dir_.path() / "store 100%", dir_.path() / "state", dir_.path() / "config", dir_.path()},
                   "/bin/true",
                   dir_.path() / "xdg",
                   false};
};

TEST_F(Unit, IsEnabledAndTakenAway) {
  const fs::path unit = enable_unit(input_, "demo");
  EXPECT_EQ(unit, dir_.path() / "xdg/systemd/user/slipway-demo.service");
  const fs::path link = dir_.path() / "xdg/systemd/user/default.target.wants/slipway-demo.service";
  EXPECT_TRUE(fs::equivalent(unit, link));
  EXPECT_EQ(enable_unit(input_, "demo"), unit) << "twice is once";
  EXPECT_TRUE(disable_unit(input_, "demo"));
  EXPECT_FALSE(fs::exists(unit));
  EXPECT_FALSE(fs::is_symlink(link));
  EXPECT_FALSE(disable_unit(input_, "demo"));
}

TEST_F(Unit, QuotesWhatSystemdWouldExpand) {
  const std::string text = unit_text(input_, "demo");
  EXPECT_NE(text.find("ExecStart=\"/bin/true\" monitor \"demo\"\n"), std::string::npos) << text;
  EXPECT_NE(text.find("/store 100%%\"\n"), std::string::npos) << text;
}

TEST_F(Unit, SystemdReadsIt) {
  if (!fs::exists("/usr/bin/systemd-analyze")) {
    GTEST_SKIP() << "systemd-analyze is not installed";
  }
  os::Command command;
  command.argv = {"/usr/bin/systemd-analyze", "verify", "--user", enable_unit(input_, "demo")};
  const os::CommandResult result = os::run_command(command);
  EXPECT_EQ(result.err.find("slipway-demo.service"), std::string::npos) << result.err;
}

}  // namespace
}  // namespace slip::workspace
