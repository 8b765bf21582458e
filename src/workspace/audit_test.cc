#include "workspace/audit.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>

namespace slip::workspace {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

/// Evidence of a workspace as slipway starts it.
Evidence good() {
  Evidence e;
  e.record.name = "x";
  e.record.jupyter = true;
  e.record.ssh = true;
  e.processes = {{100,
                  "slipway-init",
                  {{"CapInh", "0000000000000000"},
                   {"CapPrm", "0000000000000000"},
                   {"CapEff", "0000000000000000"},
                   {"CapBnd", "0000000000000000"},
                   {"CapAmb", "0000000000000000"},
                   {"NoNewPrivs", "1"},
                   {"Seccomp", "2"},
                   {"Uid", "1000\t1000\t1000\t1000"}}}};
  e.mountinfo =
      "72 47 0:41 / / ro,nosuid,nodev,relatime - overlay none rw\n"
      "46 45 254:0 /k /run/slipway/keys ro,nosuid,nodev - ext4 /dev/vda rw\n"
      "75 72 0:45 / /dev rw,nosuid - tmpfs none rw\n"
      "76 75 0:6 /null /dev/null rw - devtmpfs devtmpfs rw\n";
  e.uid_map = "      1000       1000          1\n";
  e.limits = {{"Max open files", "20000"}};
  for (const char* kind : {"user", "pid", "net", "ipc", "uts", "mnt", "cgroup"}) {
    e.own_namespace[kind] = true;
  }
  e.interfaces = {"lo"};
  e.host_listeners = {{"127.0.0.1", 8888}, {"127.0.0.1", 2222}};
  e.devices = {"/dev/null", "/dev/zero"};
  e.modes = {{"/state/keys", 0700}, {"/state/keys/jupyter_token", 0600}};
  e.token_length = 48;
  e.host_key_published = true;
  e.services = R"({"services": [{"name": "ssh"}]})";
  return e;
}

std::vector<std::string> failed(const Evidence& e) {
  std::vector<std::string> ids;
  for (const Finding& f : judge(e)) {
    if (!f.ok) {
      EXPECT_FALSE(f.found.empty() || f.wanted.empty() || f.hint.empty()) << f.id;
      ids.push_back(f.id);
    }
  }
  return ids;
}

TEST(WorkspaceAudit, WhatSlipwayStartsPasses) {
  EXPECT_THAT(failed(good()), IsEmpty());
  Evidence by_runc = good();
  by_runc.uid_map = "         0      70001          1\n      1000      70000          1\n";
  by_runc.mountinfo +=
      "81 72 0:65 / /proc/acpi ro,relatime - tmpfs tmpfs ro\n82 72 0:59 /sys /proc/sys ro,relatime - proc proc rw\n";
  EXPECT_THAT(failed(by_runc), IsEmpty());
  std::set<std::string> ids;
  for (const Finding& f : judge(good())) {
    EXPECT_TRUE(ids.insert(f.id).second) << f.id << " stands twice";
    EXPECT_TRUE(f.exception.empty() || !f.wanted.empty()) << f.id;
  }
}

TEST(WorkspaceAudit, EachFlawFailsItsCheckAlone) {
  struct Flaw {
    const char* id;
    std::function<void(Evidence&)> make;
  };
  const std::vector<Flaw> flaws = {
      {"C5.4", [](Evidence& e) { e.processes[0].status["CapBnd"] = "00000000a80425fb"; }},
      {"C5.4", [](Evidence& e) { e.processes[0].status["CapAmb"] = "0000000000000001"; }},
      {"C5.22", [](Evidence& e) { e.processes[0].status["Seccomp"] = "0"; }},
      {"C5.22", [](Evidence& e) { e.processes[0].status.erase("Seccomp"); }},
      {"C5.26", [](Evidence& e) { e.processes[0].status["NoNewPrivs"] = "0"; }},
      {"C5.23", [](Evidence& e) { e.processes[0].status["Uid"] = "1000\t0\t0\t0"; }},
      {"C5.10", [](Evidence& e) { e.own_namespace["net"] = false; }},
      {"C5.16", [](Evidence& e) { e.own_namespace["pid"] = false; }},
      {"C5.17", [](Evidence& e) { e.own_namespace["ipc"] = false; }},
      {"C5.21", [](Evidence& e) { e.own_namespace["uts"] = false; }},
      {"C5.31", [](Evidence& e) { e.own_namespace["user"] = false; }},
      {"C5.30", [](Evidence& e) { e.interfaces.emplace_back("eth0"); }},
      {"C5.5", [](Evidence& e) { e.uid_map = "0 0 4294967295\n"; }},
      {"C5.5", [](Evidence& e) { e.uid_map = "1000 0 1\n"; }},
      {"C5.5", [](Evidence& e) { e.uid_map = "0 0 1\n1000 70000 1\n"; }},
      {"C5.5", [](Evidence& e) { e.uid_map = "0 70001 1\n1000 70000 5\n"; }},
      {"C5.13", [](Evidence& e) { e.mountinfo.replace(e.mountinfo.find(" ro,"), 4, " rw,"); }},
      {"C4.8", [](Evidence& e) { e.mountinfo += "80 72 8:1 / /data rw,nodev - ext4 /dev/sda rw\n"; }},
      {"C4.8", [](Evidence& e) { e.mountinfo += "80 72 8:1 / /data rw,nosuid - ext4 /dev/sda rw\n"; }},
      {"C4.8", [](Evidence& e) { e.mountinfo += "80 72 0:65 / /proc/acpi rw,relatime - tmpfs tmpfs rw\n"; }},
      {"C5.20", [](Evidence& e) { e.mountinfo += "80 72 8:1 / /data rw,nosuid,nodev shared:3 - ext4 /dev/sda rw\n"; }},
      {"SSH5", [](Evidence& e) { e.mountinfo.replace(e.mountinfo.find("keys ro"), 7, "keys rw"); }},
      {"C5.6", [](Evidence& e) { e.record.mounts = {{"/etc", "/host/etc", true}}; }},
      {"C5.6", [](Evidence& e) { e.record.mounts = {{"/", "/host", true}}; }},
      {"C5.32", [](Evidence& e) { e.engine_sockets = {"/run/docker.sock"}; }},
      {"C5.18", [](Evidence& e) { e.devices.emplace_back("/dev/sda"); }},
      {"C5.14", [](Evidence& e) { e.host_listeners[0].address = "0.0.0.0"; }},
      {"C5.14", [](Evidence& e) { e.host_listeners[0].address = "::"; }},
      {"C5.8", [](Evidence& e) { e.host_listeners[0].port = 80; }},
      {"C5.19", [](Evidence& e) { e.limits["Max open files"] = "unlimited"; }},
      {"C5.15", [](Evidence& e) { e.services = R"({"services": [{"name": "a", "restart": {"max": 1000}}]})"; }},
      {"C5.15", [](Evidence& e) { e.services = "no JSON"; }},
      {"C4.10", [](Evidence& e) { e.modes["/state/keys/jupyter_token"] = 0644; }},
      {"JS2", [](Evidence& e) { e.leaks = {"the token of Jupyter in log/current.jsonl"}; }},
      {"JS1", [](Evidence& e) { e.token_length = 0; }},
      {"JS3", [](Evidence& e) { e.password_hash = "sha1:abc"; }},
      {"SSH2", [](Evidence& e) { e.host_key_published = false; }},
  };
  for (const Flaw& flaw : flaws) {
    Evidence e = good();
    flaw.make(e);
    EXPECT_THAT(failed(e), ElementsAre(flaw.id));
  }
}

TEST(WorkspaceAudit, LimitsThatAreNotEnforcedAreExceptionsWithTheReason) {
  Evidence e = good();
  e.record.limits.memory_bytes = 1u << 30;
  e.record.limits.pids = 100;
  e.unmet = {"memory is not limited: no writable cgroup"};
  e.cgroup_values = {{"pids", "100"}};
  for (const Finding& f : judge(e)) {
    if (f.id == "C5.11") {
      EXPECT_EQ(f.exception, "memory is not limited: no writable cgroup");
    } else if (f.id == "C5.29") {
      EXPECT_TRUE(f.exception.empty());
      EXPECT_EQ(f.found, "100");
    }
  }
}

TEST(WorkspaceAudit, ListeningSocketsAreReadAsTheKernelWritesThem) {
  const auto four = parse_listeners(
      "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n"
      "   0: 0100007F:22B8 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 581339 1 0 100 0 0 "
      "10 0\n"
      "   1: 0100007F:D6D6 0100007F:22B8 06 00000000:00000000 03:00001732 00000000     0        0 7 3 0\n"
      "   2: 00000000:0016 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 12 1 0 100 0 0 10 "
      "0\n");
  ASSERT_EQ(four.size(), 2U);
  EXPECT_EQ(four.at(581339), (Listener{"127.0.0.1", 8888}));
  EXPECT_EQ(four.at(12), (Listener{"0.0.0.0", 22}));
  const auto six = parse_listeners(
      "   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 5 1\n"
      "   1: 00000000000000000000000000000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 6 1\n"
      "   2: B80D0120000000000000000001000000:0050 00000000000000000000000000000000:0000 0A 0:0 00:0 0 0 0 8 1\n");
  EXPECT_EQ(six.at(5), (Listener{"::1", 8080}));
  EXPECT_EQ(six.at(6), (Listener{"::", 80}));
  EXPECT_EQ(six.at(8), (Listener{"2001:db8:0:0:0:0:0:1", 80}));
}

}  // namespace
}  // namespace slip::workspace
