#include "os/process.h"

#include <gtest/gtest.h>
#include <signal.h>

#include "os/cgroup.h"
#include "os/file.h"

namespace slip::os {
namespace {

Command shell(const std::string& script) {
  Command c;
  c.argv = {"/bin/sh", "-c", script};
  return c;
}

TEST(Run, CapturesBothStreamsAndTheStatus) {
  const CommandResult r = run_command(shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(r.out, "out\n");
  EXPECT_EQ(r.err, "err\n");
  EXPECT_EQ(r.status.code, 3);
  EXPECT_EQ(r.status.text(), "exit status 3");
}

TEST(Run, ReportsSignals) {
  const CommandResult r = run_command(shell("kill -KILL $$"));
  EXPECT_EQ(r.status.signal, SIGKILL);
  EXPECT_EQ(r.status.text(), "killed by SIGKILL");
  EXPECT_EQ(r.status.shell_status(), 137);
}

TEST(Run, FeedsInputLargerThanAPipe) {
  Command c = shell("cat");
  c.input = std::string(1 << 20, 'x');
  EXPECT_EQ(run_checked(c), c.input);
  c.argv = {"/bin/sh", "-c", "head -c 5"};
  EXPECT_EQ(run_checked(c), "xxxxx");
}

TEST(Run, UsesExactlyTheEnvironmentAndFolderGiven) {
  Command c = shell("env | sort; pwd");
  c.env = std::map<std::string, std::string>{{"A", "1"}, {"PATH", "/usr/bin:/bin"}};
  c.cwd = "/";
  const std::string out = run_checked(c);
  EXPECT_NE(out.find("A=1\n"), std::string::npos);
  EXPECT_EQ(out.find("HOME="), std::string::npos);
  EXPECT_TRUE(out.ends_with("/\n"));
}

TEST(Run, NamesAMissingProgram) {
  Command c;
  c.argv = {"slip-no-such-program"};
  try {
    run_command(c);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::NotFound);
  }
}

TEST(Run, EndsWhatTakesTooLong) {
  Command c = shell("sleep 60");
  c.timeout = std::chrono::milliseconds(50);
  try {
    run_command(c);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Unavailable);
  }
}

TEST(Run, LimitsTheOutput) {
  Command c = shell("head -c 100000 /dev/zero");
  c.output_limit = 1000;
  EXPECT_THROW(run_command(c), Error);
}

TEST(Run, ACheckedFailureQuotesTheLastLines) {
  try {
    run_checked(shell("echo first >&2; for i in 1 2 3 4 5; do echo line $i >&2; done; exit 2"));
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.chain().size(), 6U);
    EXPECT_EQ(e.chain().back(), "line 5");
  }
}

TEST(Users, AreLookedUp) {
  const auto root = user_by_name("root");
  ASSERT_TRUE(root.has_value());
  EXPECT_EQ(root->uid, 0U);
  EXPECT_EQ(user_by_id(0)->name, "root");
  EXPECT_FALSE(user_by_name("slip-no-such-user").has_value());
}

class Groups : public testing::Test {
 protected:
  TempDir dir_{fs::temp_directory_path(), "slip-cgroup-test-"};
};

TEST_F(Groups, KnowsTheLayouts) {
  make_dirs(dir_.path() / "sys/fs/cgroup");
  write_file(dir_.path() / "sys/fs/cgroup/cgroup.controllers", "cpu memory pids\n");
  const auto v2 =
      find_cgroups("30 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n", dir_.path());
  EXPECT_EQ(v2.layout(), "v2");
  EXPECT_TRUE(v2.unified_controllers.contains("memory"));
  const auto hybrid = find_cgroups(
      "31 24 0:27 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
      "32 24 0:28 / /sys/fs/cgroup/un\\040i rw - cgroup2 cgroup2 rw\n",
      dir_.path());
  EXPECT_EQ(hybrid.layout(), "v1") << "a v2 tree without controllers of ours is of no use";
  EXPECT_EQ(hybrid.unified, dir_.path() / "sys/fs/cgroup/un i");
  EXPECT_EQ(hybrid.v1.at("cpu"), dir_.path() / "sys/fs/cgroup/cpu,cpuacct");
  EXPECT_EQ(find_cgroups("").layout(), "none");
}

TEST_F(Groups, SaysWhatItCannotEnforce) {
  const Cgroup group({}, "0::/\n", "x", {.memory_bytes = 1, .cpus = 1.0, .pids = 1});
  EXPECT_EQ(group.unmet().size(), 3U);
  EXPECT_TRUE(group.enforced().empty());
}

TEST_F(Groups, AddsAGroupBesideOurOwnInV2) {
  // A plain folder stands in for the kernel's tree: its files are not there, so every setting is refused and said so.
  CgroupMounts mounts;
  mounts.unified = dir_.path();
  mounts.unified_controllers = {"memory"};
  make_dirs(dir_.path() / "user.slice/app.slice/x.scope");
  const Cgroup group(mounts, "0::/user.slice/app.slice/x.scope\n", "n", {.memory_bytes = 1, .cpus = {}, .pids = {}});
  ASSERT_EQ(group.folders().size(), 1U);
  EXPECT_EQ(group.folders().front(), dir_.path() / "user.slice/app.slice/slipway-n");
  EXPECT_EQ(
      group_folders(mounts, "0::/user.slice/app.slice/x.scope\n", "n", {.memory_bytes = 1, .cpus = 1, .pids = {}}),
      std::vector<std::string>{group.folders().front().string()})
      << "where each would lie, known before it is made; this host has no controller of processor time";
  EXPECT_EQ(group.unmet().size(), 1U);
}

}  // namespace
}  // namespace slip::os
