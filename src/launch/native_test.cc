#include "launch/native.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <grp.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <optional>
#include <thread>

#include "core/text.h"
#include "launch/child.h"
#include "os/cgroup.h"
#include "os/file.h"

namespace slip::launch {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;
using testing::Not;

constexpr std::uint32_t kRootHostId = 61234;  ///< what root's workspaces run as in these tests
constexpr std::uint32_t kUser = 61235;        ///< the ordinary user that root plays

enum class Who { Root, User };

/// This thread as an ordinary user (raw calls change one thread only); an ordinary user stays who he is.
class Playing {
 public:
  explicit Playing(Who who) : active_(who == Who::User && ::geteuid() == 0) {
    if (active_) {
      ::syscall(SYS_setgroups, 0L, nullptr);
      ::syscall(SYS_setresgid, kUser, kUser, 0);
      ::syscall(SYS_setresuid, kUser, kUser, 0);
      ::prctl(PR_SET_DUMPABLE, 1);
    }
  }
  Playing(const Playing&) = delete;
  Playing& operator=(const Playing&) = delete;
  ~Playing() {
    if (active_) {
      ::syscall(SYS_setresuid, 0, 0, 0);
      ::syscall(SYS_setresgid, 0, 0, 0);
      ::prctl(PR_SET_DUMPABLE, 1);
    }
  }

 private:
  bool active_;
};

std::string sh(const std::string& script) {
  os::Command c;
  c.argv = {"/bin/sh", "-euc", script};
  return os::run_checked(c);
}

/// A few of the host's programs with their libraries: enough of a system to look around in.
void make_root(const fs::path& root) {
  sh("R=" + root.string() + R"(
    mkdir -p $R/usr/bin $R/usr/lib $R/usr/lib64 $R/etc $R/home/dev $R/proc $R/sys $R/dev $R/tmp $R/run $R/workspace
    ln -s usr/bin $R/bin; ln -s usr/lib $R/lib; ln -s usr/lib64 $R/lib64
    for name in sh cat id grep touch ls stat sleep mkdir chmod head unshare mount ip; do
      file=$(command -v $name) || continue
      cp -L $file $R/usr/bin/
      for library in $(ldd $file 2>/dev/null | grep -o '/[^ ]*' || true); do
        mkdir -p $R$(dirname $library); cp -Ln $library $R$library
      done
    done
    echo seed > $R/home/dev/seed
    echo 'dev:x:1000:1000::/home/dev:/bin/sh' > $R/etc/passwd
    printf '#!/no/such/interpreter\n' > $R/usr/bin/broken; chmod 755 $R/usr/bin/broken)");
}

void give(const fs::path& tree, std::uint32_t id) { sh(format("chown -hR {}:{} {}", id, id, tree.string())); }

/// Who asks, and who performs: the laws of a plan are the same for all.
struct Performer {
  Who who;
  const char* runtime;
};

struct Outcome {
  LaunchResult result;
  std::string out;
};

class Native : public testing::TestWithParam<Performer> {
 protected:
  static void SetUpTestSuite() {
    base_ = new os::TempDir(fs::temp_directory_path(), "slip-launch-test-");
    ::chmod(base_->path().c_str(), 0755);
    for (const char* name : {"root", "user"}) {
      make_root(base_->path() / name);
    }
    if (::geteuid() == 0) {
      give(base_->path() / "root", kRootHostId);
      give(base_->path() / "user", kUser);
    }
  }
  static void TearDownTestSuite() {
    delete base_;
    base_ = nullptr;
  }

  void SetUp() override {
    if (who() == Who::Root && ::geteuid() != 0) {
      GTEST_SKIP() << "needs root";
    }
    try {
      runtime_ = find_runtime(GetParam().runtime);
    } catch (const Error& e) {
      GTEST_SKIP() << e.joined();
    }
    work_ = std::make_unique<os::TempDir>(base_->path(), "case-");
    ::chmod(work_->path().c_str(), 0755);
    try {
      (void)run("true || :");
    } catch (const Error& e) {
      if (e.kind() == ErrorKind::Unsupported) {
        GTEST_SKIP() << e.joined();
      }
      throw;
    }
  }

  [[nodiscard]] static Who who() { return GetParam().who; }
  [[nodiscard]] bool native() const { return !runtime_; }
  [[nodiscard]] fs::path image() const { return base_->path() / (who() == Who::Root ? "root" : "user"); }
  [[nodiscard]] HostId id() const {
    return who() == Who::User && ::geteuid() == 0 ? HostId{OuterId{kUser}, OuterId{kUser}} : host_id(kRootHostId);
  }
  /// Who owns files outside that the workspace makes in a writable mount: the caller.
  [[nodiscard]] static std::uint32_t caller() { return who() == Who::User && ::geteuid() == 0 ? kUser : ::geteuid(); }

  [[nodiscard]] LaunchPlan plan(const std::string& script) const {
    LaunchPlan p;
    p.name = "test";
    p.root = image();
    p.argv = {"sh", "-c", script};
    p.env = {{"PATH", "/usr/bin:/bin"}};
    p.home = "/home/dev";
    p.cwd = "/workspace";
    p.hostname = "box";
    return p;
  }
  Outcome perform(const LaunchPlan& p) const {
    const os::Fd out(::memfd_create("out", MFD_CLOEXEC));
    NullEvents events;
    Outcome o;
    {
      const Playing playing(who());
      const Stdio stdio{-1, out.get(), out.get()};
      o.result = runtime_ ? run_by_runtime(*runtime_, p, id(), stdio, events) : run_native(p, id(), stdio, events);
    }
    ::lseek(out.get(), 0, SEEK_SET);
    os::FdSource source(out.get(), "out");
    BytesSink sink;
    copy_all(source, sink);
    o.out = as_text(sink.data);
    return o;
  }
  Outcome run(const std::string& script) const { return perform(plan(script)); }

  /// A folder of the caller's.
  [[nodiscard]] fs::path folder(const std::string& name, unsigned mode = 0700) const {
    const fs::path path = work_->path() / name;
    os::make_dirs(path, mode);
    os::write_file(path / "there", "content\n", 0600);
    if (caller() != ::geteuid()) {
      give(path, caller());
    }
    return path;
  }

  static os::TempDir* base_;
  std::unique_ptr<os::TempDir> work_;
  std::optional<Runtime> runtime_;
};
os::TempDir* Native::base_ = nullptr;

INSTANTIATE_TEST_SUITE_P(Launch, Native,
                         testing::Values(Performer{Who::Root, "native"}, Performer{Who::User, "native"},
                                         Performer{Who::Root, "runc"}, Performer{Who::Root, "crun"},
                                         Performer{Who::User, "crun"}),
                         [](const auto& p) {
                           const std::string runtime = p.param.runtime;
                           return (runtime == "native" ? "" : runtime + "_") +
                                  (p.param.who == Who::Root ? "as_root" : "as_user");
                         });

TEST_P(Native, HasOneIdAndNoPrivileges) {
  const Outcome o = run("id -u; id -g; cat /proc/self/status /proc/self/uid_map /proc/sys/kernel/hostname");
  EXPECT_THAT(o.out, testing::StartsWith("1000\n1000\n"));
  for (const char* line :
       {"CapInh:\t0000000000000000", "CapPrm:\t0000000000000000", "CapEff:\t0000000000000000",
        "CapBnd:\t0000000000000000", "CapAmb:\t0000000000000000", "NoNewPrivs:\t1", "Seccomp:\t2", "Groups:\t \n"}) {
    if (std::string_view(line).starts_with("Groups") && ::geteuid() != 0) {
      continue;  // an ordinary user cannot drop his groups; they are nobody's inside
    }
    EXPECT_THAT(o.out, HasSubstr(line));
  }
  if (GetParam().runtime != std::string("crun")) {  // whose map starts from another namespace
    EXPECT_THAT(o.out, HasSubstr(format(" {} ", static_cast<std::uint32_t>(id().uid))));
  }
  EXPECT_TRUE(o.out.ends_with("box\n"));
}

TEST_P(Native, TheHostIsNotThere) {
  const Outcome o = run("cat /proc/self/mountinfo; stat -c %d:%i / /..; ls /proc | grep -c '^[0-9]'; ls /..");
  EXPECT_THAT(o.out, Not(HasSubstr(" ext4 "))) << "no file system of the host may be mounted inside";
  EXPECT_THAT(o.out, Not(HasSubstr("cgroup")));
  const auto lines = split(trim(o.out), '\n');
  std::vector<std::string_view> ids;
  for (const auto line : lines) {
    if (line.find(':') != std::string_view::npos && line.find(' ') == std::string_view::npos) {
      ids.push_back(line);
    }
  }
  ASSERT_EQ(ids.size(), 2U);
  EXPECT_EQ(ids[0], ids[1]) << "`/..` leads out";
}

TEST_P(Native, OnlyHomeTmpAndRunAreWritable) {
  const Outcome o =
      run("touch /x /usr/x /etc/x; touch /home/dev/x /tmp/x /run/x /dev/shm/x && echo wrote; cat /home/dev/seed; stat "
          "-c %a /tmp /run /dev/shm");
  EXPECT_THAT(o.out, HasSubstr("wrote\nseed\n1777\n755\n1777\n"));
  EXPECT_EQ(split(o.out, '\n')[0].find("Read-only file system") != std::string_view::npos, true) << o.out;
  EXPECT_FALSE(fs::exists(image() / "home/dev/x")) << "the image must stay as it is";
  EXPECT_FALSE(fs::exists(image() / "tmp/x"));
}

TEST_P(Native, DevicesWorkAndKernelFilesAreHidden) {
  const Outcome o =
      run("echo x > /dev/null && head -c 3 /dev/zero | grep -c . ; head -c 1 /dev/urandom > /dev/null && echo random; "
          "ls -l /dev/ptmx; cat /proc/keys /proc/timer_list; echo 1 > /proc/sys/vm/drop_caches; "
          "ls /sys/firmware; touch /sys/x; echo end");
  EXPECT_THAT(o.out, HasSubstr("random"));
  EXPECT_THAT(o.out, HasSubstr("/dev/ptmx -> pts/ptmx"));
  EXPECT_THAT(o.out, HasSubstr("drop_caches: Read-only file system"));
  EXPECT_THAT(o.out, HasSubstr("end"));
}

TEST_P(Native, MountsKeepTheirOwnersAndTheirModes) {
  LaunchPlan p = plan(
      "cat /data/there; touch /data/x; echo new > /workspace/out/made; stat -c %u:%g:%a /data/there "
      "/workspace/out/made; "
      "mkdir /workspace/out/dir; chmod 4755 /workspace/out/made; echo end");
  const fs::path data = folder("data");
  const fs::path out = folder("out");
  p.mounts = {{data, "/data", true}, {out, "/workspace/out", false}};
  const Outcome o = perform(p);
  EXPECT_THAT(o.out, HasSubstr("content\n"));
  EXPECT_THAT(o.out, HasSubstr("1000:1000:600\n1000:1000:644\n"));
  EXPECT_THAT(o.out, HasSubstr("'/data/x': Read-only file system"));
  struct stat st{};
  ASSERT_EQ(::stat((out / "made").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, caller());
  EXPECT_FALSE(fs::exists(data / "x"));
  if (caller() == 0) {
    EXPECT_EQ(st.st_mode & S_ISUID, 0U) << "a set-user-id file of root's must not come out of a workspace";
  }
  ASSERT_EQ(::stat((out / "dir").c_str(), &st), 0);
  EXPECT_EQ(st.st_uid, caller());
}

TEST_P(Native, AMountOfOneFileAndOneBelowHome) {
  LaunchPlan p = plan("cat /etc/extra /home/dev/deep/er/there");
  const fs::path data = folder("data");
  p.mounts = {{data / "there", "/etc/extra", true}, {data, "/home/dev/deep/er", true}};
  EXPECT_EQ(perform(p).out, "content\ncontent\n");
}

TEST_P(Native, AHomeOfTheHostStays) {
  LaunchPlan p = plan("echo kept > ~/kept; cat ~/there");
  p.env["HOME"] = "/home/dev";
  p.home_source = folder("home");
  EXPECT_EQ(perform(p).out, "content\n");
  EXPECT_EQ(os::read_file(p.home_source / "kept"), "kept\n");
}

TEST_P(Native, HasOnlyLoopbackAndItIsUp) {
  const Outcome o = run("cat /proc/net/dev; ls /sys/class/net");
  EXPECT_THAT(o.out, HasSubstr("lo:"));
  EXPECT_TRUE(o.out.ends_with("\nlo\n")) << o.out;
}

TEST_P(Native, DangerousCallsAreRefused) {
  const Outcome o = run("unshare -U true; echo $?; unshare -n true; echo $?; mount -t tmpfs none /tmp; echo $?");
  EXPECT_THAT(o.out, HasSubstr("Operation not permitted"));
  EXPECT_THAT(o.out, Not(testing::ContainsRegex("(^|\n)0\n")));
}

TEST_P(Native, PassesStatusAndSignalsOn) {
  EXPECT_EQ(run("exit 7").result.status.code, 7);
  if (native()) {  // by a runtime the command is pid 1, which signals from inside do not kill
    EXPECT_EQ(run("kill -KILL $$").result.status.signal, SIGKILL);
  }
  const pid_t self = static_cast<pid_t>(::syscall(SYS_gettid));
  std::thread late([self] {
    std::this_thread::sleep_for(std::chrono::milliseconds(300));
    ::syscall(SYS_tgkill, ::getpid(), self, SIGTERM);
  });
  const Outcome o = run("trap 'echo got it; exit 9' TERM; i=0; while [ $i -lt 200 ]; do sleep 0.05; i=$((i+1)); done");
  late.join();
  EXPECT_EQ(o.out, "got it\n");
  EXPECT_EQ(o.result.status.code, 9);
}

TEST_P(Native, OrphansEndWithTheCommand) {
  const Outcome o = run("(sleep 1000 &) ; exit 0");
  EXPECT_TRUE(o.result.status.ok());
}

TEST_P(Native, ExplainsWhatCannotBeRun) {
  const auto failure = [&](std::vector<std::string> argv) {
    LaunchPlan p = plan("");
    p.argv = std::move(argv);
    try {
      perform(p);
    } catch (const Error& e) {
      return e;
    }
    return Error(ErrorKind::Internal, "it ran");
  };
  const Error misspelt = failure({"slep", "1"});
  EXPECT_EQ(misspelt.kind(), ErrorKind::NotFound) << misspelt.joined();
  if (!native()) {
    EXPECT_THAT(misspelt.joined(), HasSubstr("run `slep`: there is no such program in the image"));
    return;
  }
  EXPECT_THAT(misspelt.hints(), testing::ElementsAre("did you mean `sleep`?"));
  EXPECT_EQ(failure({"/usr/bin/nothing"}).joined(),
            "start `test`: run `/usr/bin/nothing`: there is no such file in the image");
  EXPECT_EQ(failure({"/etc/passwd"}).kind(), ErrorKind::Denied);
  const Error broken = failure({"broken"});
  EXPECT_EQ(broken.kind(), ErrorKind::NotFound);
  EXPECT_THAT(broken.hints().at(0), HasSubstr("interpreter"));
}

TEST_P(Native, RefusesPlansThatCannotBeMeant) {
  LaunchPlan p = plan("");
  p.mounts = {{"/etc", "/../x", true}};
  EXPECT_THROW(perform(p), Error);
  p.mounts = {{work_->path() / "none", "/x", true}};
  EXPECT_THROW(perform(p), Error);
  p.mounts = {{"/etc", "//", true}};
  EXPECT_THROW(perform(p), Error);
}

TEST_P(Native, ALinkInTheImageDoesNotLeadAMountOut) {
  // The image says /workspace/link → /, so /workspace/link/etc/inner is the image's own /etc/inner, not the host's.
  LaunchPlan p = plan("cat /etc/inner-slip-test/there");
  const fs::path link = image() / "workspace/link";
  fs::create_symlink("/", link);
  ::lchown(link.c_str(), static_cast<uid_t>(id().uid), static_cast<gid_t>(id().gid));
  p.mounts = {{folder("data"), "/workspace/link/etc/inner-slip-test", true}};
  EXPECT_EQ(perform(p).out, "content\n");
  EXPECT_FALSE(fs::exists("/etc/inner-slip-test"));
  fs::remove(link);
}

TEST_P(Native, HostFilesAreDevicesThatOpenAndFilesThatStay) {
  const fs::path library = work_->path() / "libcuda.so.1";
  os::write_file(library, "the driver's\n", 0644);
  LaunchPlan p = plan(
      "head -c 3 /dev/nvidia0 > /tmp/three; stat -c %s /tmp/three; cat /run/nvidia/lib/libcuda.so.1; "
      "echo x > /run/nvidia/lib/libcuda.so.1; head -c 1 /dev/other");
  p.host_files = {{"/dev/zero", "/dev/nvidia0", true}, {library, "/run/nvidia/lib/libcuda.so.1", false}};
  p.mounts = {{"/dev/zero", "/dev/other", true}};
  if (!native()) {
    EXPECT_THROW(perform(p), Error);
    return;
  }
  const Outcome o = perform(p);
  EXPECT_THAT(o.out, HasSubstr("3\nthe driver's\n"));
  EXPECT_THAT(o.out, HasSubstr("Read-only file system"));
  EXPECT_THAT(o.out, HasSubstr("/dev/other")) << "a device node that is mounted as the person's own file stays closed";
  EXPECT_THAT(o.out, HasSubstr("ermission denied"));
}

TEST_P(Native, AnUpperFolderKeepsChanges) {
  const fs::path state = folder("state", 0700);
  LaunchPlan p = plan("echo 1 > /etc/new; cat /etc/new");
  p.writable_root = true;
  p.upper = state / "upper";
  p.work = state / "work";
  EXPECT_EQ(perform(p).out, "1\n");
  p.argv = {"cat", "/etc/new"};
  EXPECT_EQ(perform(p).out, "1\n");
  EXPECT_EQ(os::read_file(p.upper / "etc/new"), "1\n");
  EXPECT_FALSE(fs::exists(image() / "etc/new"));
}

TEST_P(Native, LimitsHoldOrAreReported) {
  LaunchPlan p = plan("i=0; while [ $i -lt 40 ]; do sleep 2 & i=$((i+1)); done; wait");
  p.limits.pids = 20;  // runc itself needs some before it becomes the command
  const Outcome many = perform(p);
  EXPECT_THAT(many.out, HasSubstr("annot fork")) << "the pids limit must hold with a cgroup and without one";
  EXPECT_TRUE(many.result.unmet.empty());
  p = plan("head -c 400000000 /dev/zero > /dev/shm/x; echo done");
  p.limits.memory_bytes = 100000000;
  const Outcome big = perform(p);
  if (big.result.unmet.empty()) {
    EXPECT_TRUE(big.result.status.signal == SIGKILL || big.out.find("done") == std::string::npos ||
                big.out.find("No space left") != std::string::npos)
        << big.out;
  } else {
    EXPECT_THAT(big.result.unmet.front(), HasSubstr("the memory limit is not enforced"));
  }
  const os::CgroupMounts mounts = os::find_cgroups(os::read_file("/proc/self/mountinfo"));
  for (const auto& [name, at] : mounts.v1) {
    EXPECT_EQ(sh("find " + at.string() + " -maxdepth 4 -name 'slipway-test-" + format("{}", ::getpid()) + "-*'"), "")
        << name;
  }
}

TEST_P(Native, BuildsAreRootInsideWithFewCapabilities) {
  LaunchPlan p = plan("id -u; grep CapEff /proc/self/status; touch /etc/x && echo wrote; ls /sys");
  p.uid = InnerId{0};
  p.gid = InnerId{0};
  p.filter = Filter::Build;
  p.writable_root = true;
  p.new_session = true;
  p.home.clear();
  if (!native()) {
    EXPECT_THROW(perform(p), Error);  // owners of files need a supervisor
    return;
  }
  EXPECT_EQ(perform(p).out, "0\nCapEff:\t00000000a80405fb\nwrote\n");
}

TEST_P(Native, TheImagesOwnInitIsPidOne) {
  LaunchPlan p = plan("echo $$; exit 4");
  p.direct = true;
  const Outcome o = perform(p);
  EXPECT_EQ(o.out, "1\n");
  EXPECT_EQ(o.result.status.code, 4);
}

TEST(Filter, CompilesToAProgramTheKernelTakes) {
  const auto program = workspace_filter();
  EXPECT_GT(program.size(), 50U);
  EXPECT_LT(program.size(), 4096U);
  EXPECT_GT(workspace_filter(true).size(), program.size());
}

TEST(Plan, PrintsCanonically) {
  LaunchPlan p;
  p.name = "tf29-dev";
  p.root = "/store/merged/1";
  p.argv = {"python", "-V"};
  p.env = {{"PATH", "/usr/bin"}, {"A", "\xff"}};
  p.mounts = {{"/data", "/datasets", true}};
  p.host_files = {{"/dev/null", "/dev/nvidiactl", true}};
  p.limits.pids = 100;
  EXPECT_EQ(to_json(p), R"({
  "argv": [
    "python",
    "-V"
  ],
  "cwd": "/",
  "direct": false,
  "env": {
    "A": "�",
    "PATH": "/usr/bin"
  },
  "filter": "workspace",
  "gid": 1000,
  "home": null,
  "home_source": null,
  "host_files": [
    {
      "device": true,
      "source": "/dev/null",
      "target": "/dev/nvidiactl"
    }
  ],
  "hostname": "localhost",
  "limits": {
    "cpus": null,
    "memory_bytes": null,
    "pids": 100,
    "shm_bytes": null
  },
  "mounts": [
    {
      "read_only": true,
      "source": "/data",
      "target": "/datasets"
    }
  ],
  "name": "tf29-dev",
  "network": "none",
  "new_session": false,
  "root": "/store/merged/1",
  "uid": 1000,
  "upper": null,
  "work": null,
  "writable": [],
  "writable_root": false
}
)");
}

}  // namespace
}  // namespace slip::launch
