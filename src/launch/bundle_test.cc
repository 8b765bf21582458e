#include "launch/bundle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "core/error.h"
#include "launch/kernel_files.h"
#include "launch/refusals.h"
#include "launch/runtime_setup.h"

namespace slip::launch {
namespace {

using Json = nlohmann::json;
using testing::ElementsAre;

LaunchPlan plan() {
  LaunchPlan p;
  p.name = "small";
  p.root = "/store/root";
  p.argv = {"/usr/lib/slipway/slipway-init"};
  p.env = {{"HOME", "/home/dev"}, {"PATH", "/usr/bin"}};
  p.cwd = "/workspace";
  p.home = "/home/dev";
  p.home_source = "/state/home";
  p.writable = {"/opt/venv"};
  p.hostname = "small";
  p.mounts = {
      {"/state/run", "/run/slipway", false}, {"/state/keys", "/run/slipway/keys", true}, {"/data", "/data", true}};
  p.limits = {512U << 20, 1.5, 200, std::nullopt};
  return p;
}

BundleHost host() {
  BundleHost h;
  h.uids = {{0, 70001}, {1000, 70000}};
  h.gids = {{0, 70001}, {1000, 70000}};
  h.cgroup = "slipway-small";
  h.shm_bytes = 1 << 20;
  h.open_files_soft = 1024;
  h.open_files_hard = 4096;
  return h;
}

Json bundle(const LaunchPlan& p = plan(), const BundleHost& h = host()) { return Json::parse(to_bundle(p, h)); }

Json mount_at(const Json& config, const std::string& target) {
  for (const Json& m : config["mounts"]) {
    if (m["destination"] == target) {
      return m;
    }
  }
  return {};
}

TEST(Bundle, ProcessHasNoPrivilege) {
  const Json process = bundle()["process"];
  for (const char* set : {"bounding", "effective", "inheritable", "permitted", "ambient"}) {
    EXPECT_EQ(Json::array(), process["capabilities"][set]) << set;
  }
  EXPECT_EQ(true, process["noNewPrivileges"]);
  EXPECT_EQ(1000, process["user"]["uid"]);
  EXPECT_EQ(022, process["user"]["umask"]);
  EXPECT_EQ(Json({"HOME=/home/dev", "PATH=/usr/bin"}), process["env"]);
  EXPECT_EQ("/workspace", process["cwd"]);
  EXPECT_EQ(
      Json::parse(R"([{"type":"RLIMIT_CORE","soft":0,"hard":0},{"type":"RLIMIT_NOFILE","soft":1024,"hard":4096}])"),
      process["rlimits"]);
}

TEST(Bundle, MountsAreThoseOfThePlanInOrder) {
  const Json config = bundle();
  EXPECT_EQ("/run/root", config["root"]["path"]);
  EXPECT_EQ(true, config["root"]["readonly"]);
  std::vector<std::string> targets;
  for (const Json& m : config["mounts"]) {
    targets.push_back(m["destination"]);
  }
  EXPECT_THAT(targets,
              ElementsAre("/proc", "/sys", "/dev", "/dev/pts", "/dev/shm", "/tmp", "/var/tmp", "/run", "/run/lock",
                          "/opt/venv", "/data", "/home/dev", "/run/slipway", "/run/slipway/keys"));
  EXPECT_EQ("/run/mounts/1", mount_at(config, "/data")["source"]);
  EXPECT_EQ(Json({"rbind", "nosuid", "nodev", "ro"}), mount_at(config, "/data")["options"]);
  EXPECT_EQ(Json({"rbind", "nosuid", "nodev"}), mount_at(config, "/home/dev")["options"]);
  EXPECT_EQ("/state/keys", config["annotations"]["dev.slipway.source./run/mounts/4"]);
  EXPECT_EQ("the image's /opt/venv", config["annotations"]["dev.slipway.source./run/mounts/0"]);
}

TEST(Bundle, NamespacesFollowTheNetwork) {
  LaunchPlan p = plan();
  EXPECT_EQ(7u, bundle(p)["linux"]["namespaces"].size());
  p.network = Network::Host;
  const Json config = bundle(p);
  EXPECT_EQ(6u, config["linux"]["namespaces"].size());
  EXPECT_TRUE(mount_at(config, "/sys").is_null()) << "sysfs cannot be mounted without an own network";
}

TEST(Bundle, LimitsAndGroup) {
  const Json linux = bundle()["linux"];
  EXPECT_EQ(
      Json::parse(R"({"memory":{"limit":536870912},"cpu":{"quota":150000,"period":100000},"pids":{"limit":200}})"),
      linux["resources"]);
  EXPECT_EQ("slipway-small", linux["cgroupsPath"]);
  BundleHost h = host();
  h.unified = true;
  EXPECT_EQ(536870912, bundle(plan(), h)["linux"]["resources"]["memory"]["swap"]);
  h.limits = false;
  h.cgroup = "";
  const Json without = bundle(plan(), h)["linux"];
  EXPECT_FALSE(without.contains("resources"));
  EXPECT_FALSE(without.contains("cgroupsPath"));
}

TEST(Bundle, SeccompIsTheDenyListOfTheNativeLauncher) {
  for (const bool refuse_set_id : {false, true}) {
    BundleHost h = host();
    h.refuse_set_id = refuse_set_id;
    const Json seccomp = bundle(plan(), h)["linux"]["seccomp"];
    EXPECT_EQ("SCMP_ACT_ALLOW", seccomp["defaultAction"]);
    std::size_t i = 0;
    for (const Refusal& refusal : workspace_refusals(refuse_set_id)) {
      if (refusal.number >= 0) {
        continue;  // the runtime inherits those
      }
      const Json& call = seccomp["syscalls"].at(i++);
      EXPECT_EQ(refusal.name, call["names"][0].get<std::string>());
      EXPECT_EQ(refusal.err, call["errnoRet"]);
      EXPECT_EQ(refusal.conditions.size(), call.contains("args") ? call["args"].size() : 0U) << refusal.name;
    }
    EXPECT_EQ(i, seccomp["syscalls"].size());
  }
  EXPECT_EQ(std::size(kMaskedFiles), bundle()["linux"]["maskedPaths"].size());
  EXPECT_EQ(std::size(kFrozenFiles), bundle()["linux"]["readonlyPaths"].size());
}

TEST(Bundle, WhatCannotBeSaidIsRefused) {
  LaunchPlan p = plan();
  p.filter = Filter::Build;
  EXPECT_THROW(to_bundle(p, host()), Error);
  p = plan();
  p.argv.push_back("\xff");
  try {
    (void)to_bundle(p, host());
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(ErrorKind::Unsupported, e.kind());
    EXPECT_THAT(e.what(), testing::HasSubstr("UTF-8"));
  }
}

TEST(Runtime, LastWordsAreTheLastError) {
  EXPECT_EQ("", last_words(""));
  EXPECT_EQ("", last_words("no json\n"));
  EXPECT_EQ("second", last_words(R"({"level":"error","msg":"first"})"
                                 "\n"
                                 R"({"level":"error","msg":"second"})"
                                 "\n"
                                 R"({"level":"warning","msg":"third"})"
                                 "\n"));
}

TEST(Runtime, NamesAreChecked) {
  EXPECT_FALSE(find_runtime("native"));
  try {
    (void)find_runtime("rnc");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(ErrorKind::Usage, e.kind());
    EXPECT_THAT(e.hints(), ElementsAre("did you mean `runc`?"));
  }
}

}  // namespace
}  // namespace slip::launch
