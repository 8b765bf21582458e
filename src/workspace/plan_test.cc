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
  const launch::LaunchPlan plan = plan_run(spec, "/roots/r", options).plan;
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

TEST(Gpus, AreAllOfThemWhereTheSpecAsksForCudaAndWhatThePersonSays) {
  spec::Spec spec;
  spec.name = "demo";
  EXPECT_FALSE(plan_run(spec, "/r", {}).gpu.any());
  EXPECT_FALSE(record_of(spec, "/r", {}).gpu.any());
  spec.gpu = spec::Gpu{"11.2", "8", {}};
  EXPECT_EQ(plan_run(spec, "/r", {}).gpu, (gpu::Request{"all", "11.2"}));
  RunOptions none;
  none.gpus = "none";
  EXPECT_FALSE(plan_run(spec, "/r", none).gpu.any());
  UpOptions first;
  first.gpus = "0";
  const Record record = record_of(spec, "/r", first);
  EXPECT_EQ(record.gpu, (gpu::Request{"0", "11.2"}));
  EXPECT_EQ(parse_record(to_json(record)), record);
  const launch::LaunchPlan plan = plan_up(record, Folder{"/state"}, "/r");
  EXPECT_EQ(plan.env.at("LD_LIBRARY_PATH"), "/run/nvidia/lib") << "also for what joins a running workspace";
  EXPECT_TRUE(plan.host_files.empty()) << "they are looked for at every start";
}

TEST(RecordOfImage, TheLabelSaysWhatTheSpecSaid) {
  spec::Spec spec;
  spec.name = "demo";
  spec.suite = "bookworm";
  spec.variant = "gpu";
  spec.gpu = spec::Gpu{"11.2", "8", {}};
  spec.services.ssh = spec::Ssh{{"ssh-ed25519 AAAA mine"}};
  spec.mounts = {{"./out", "/out", false, {}}, {"/data", "/data", true, {}}};
  spec.resources.cpus = 1.5;
  spec.outbound = false;
  oci::ImageConfig config;
  config.labels["dev.slipway.spec"] = spec::to_json(spec);
  config.env = {"A=image"};
  const Record record = record_of_image(config, "r.example/demo:1", "/roots/r", {});
  EXPECT_EQ(record.name, "demo");
  EXPECT_EQ(record.image, "r.example/demo:1");
  EXPECT_EQ(record.env.at("A"), "image");
  EXPECT_TRUE(record.ssh);
  EXPECT_FALSE(record.jupyter);
  EXPECT_TRUE(record.ssh_keys.empty()) << "personal keys are in no label";
  EXPECT_FALSE(record.outbound);
  EXPECT_EQ(record.gpu, (gpu::Request{"", "11.2"})) << "an image does not help itself to devices";
  UpOptions all;
  all.gpus = "all";
  EXPECT_TRUE(record_of_image(config, "r.example/demo:1", "/roots/r", all).gpu.any());
  EXPECT_EQ(record.limits.cpus, 1.5);
  EXPECT_EQ(record.limits.pids, record_of(spec, "/roots/r", {}).limits.pids);
  ASSERT_EQ(record.mounts.size(), 1U) << "what is relative belongs to a checkout";
  EXPECT_EQ(record.mounts[0], (launch::Mount{"/data", "/data", true}));
}

TEST(RecordOfImage, ALabelThatCannotBeReadIsNamed) {
  oci::ImageConfig config;
  EXPECT_THROW(record_of_image(config, "x:1", "/roots/r", {}), Error);
  config.labels["dev.slipway.spec"] = "{\"name\":\"demo\"}";
  try {
    record_of_image(config, "x:1", "/roots/r", {});
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Invalid);
    EXPECT_NE(e.joined().find("the label `dev.slipway.spec` of image `x:1`"), std::string::npos) << e.joined();
  }
}

}  // namespace
}  // namespace slip::workspace
