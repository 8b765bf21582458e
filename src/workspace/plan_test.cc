#include "workspace/plan.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::workspace {
namespace {

TEST(ParseMount, TakesSourceTargetAndMode) {
  EXPECT_EQ(parse_mount("./data:/data", "/project"), (launch::Mount{"/project/data", "/data", true}));
  EXPECT_EQ(parse_mount("/srv/x:/x:rw", "/project"), (launch::Mount{"/srv/x", "/x", false}));
  for (const char* wrong : {"", "/a", "/a:b", ":/b", "/a:/b:rx", "/a:/b:ro:rw"}) {
    EXPECT_THROW(parse_mount(wrong, "/project"), Error) << wrong;
  }
}

TEST(PlanRun, TheCommandLineWinsOverTheSpec) {
  spec::Spec spec;
  spec.name = "demo";
  spec.folder = "/project";
  spec.env = {{"A", "spec"}, {"B", "spec"}};
  spec.mounts = {{"./out", "/out", false, {}}, {"/data", "/data", true, {}}};
  spec.resources.pids = 64;
  RunOptions options;
  options.command = {"true"};
  options.env = {{"A", "me"}};
  options.mounts = {{"/other", "/data", false}};
  const launch::LaunchPlan plan = plan_run(spec, "/roots/r", options);
  EXPECT_EQ(plan.env.at("A"), "me");
  EXPECT_EQ(plan.env.at("B"), "spec");
  EXPECT_EQ(plan.env.at("HOME"), "/home/dev");
  ASSERT_EQ(plan.mounts.size(), 2U);
  EXPECT_EQ(plan.mounts[0], (launch::Mount{"/project/out", "/out", false}));
  EXPECT_EQ(plan.mounts[1], (launch::Mount{"/other", "/data", false}));
  EXPECT_EQ(plan.limits.pids, 64U);
  EXPECT_EQ(plan.network, launch::Network::None);
  EXPECT_FALSE(plan.writable_root);
}

}  // namespace
}  // namespace slip::workspace
