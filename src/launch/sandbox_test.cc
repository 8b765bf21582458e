#include "launch/sandbox.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "launch/ownership.h"
#include "os/file.h"

namespace slip::launch {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrograms[] = {"sh",    "chown", "stat", "cp",  "mv", "ln", "rm",      "mkdir",
                                     "touch", "chmod", "cat",  "tar", "id", "ls", "install", "sleep"};

/// A root made of the host's own programs and libraries.
class SandboxTest : public testing::Test {
 protected:
  void SetUp() override {
    root_ = dir_.path() / "root";
    for (const char* folder : {"bin", "etc", "old", "proc", "sys", "dev", "run", "tmp", "root"}) {
      fs::create_directories(root_ / folder);
    }
    for (const char* program : kPrograms) {
      for (const char* from : {"/usr/bin", "/bin"}) {
        if (fs::exists(fs::path(from) / program)) {
          copy_with_libraries(fs::path(from) / program, std::string("bin/") + program);
          break;
        }
      }
    }
    os::write_file(root_ / "old/file", "old\n");
    os::write_file(root_ / "old/kept", "kept\n");
    os::write_file(root_ / "etc/passwd", "root:x:0:0::/root:/bin/sh\ngames:x:5:60::/:/bin/sh\n");
    os::write_file(root_ / "etc/group", "root:x:0:\nshadow:x:42:\nmail:x:8:\n");
    if (::geteuid() == 0) {
      ASSERT_EQ(std::system(("chown -R 64999:64999 " + dir_.path().string()).c_str()), 0);
      ::chmod(dir_.path().c_str(), 0755);
    }
    options_.lower = root_;
    options_.scratch = dir_.path() / "scratch";
    fs::create_directories(options_.scratch);
    options_.id = host_id(64999);
    options_.epoch = 1600000000;
  }

  void copy_with_libraries(const fs::path& program, const std::string& to) {
    fs::copy_file(program, root_ / to, fs::copy_options::overwrite_existing);
    FILE* pipe = ::popen(("ldd " + program.string() + " 2>/dev/null | grep -o '/[^ ]*'").c_str(), "r");
    char line[4096];
    while (std::fgets(line, sizeof line, pipe) != nullptr) {
      std::string library(line);
      library.pop_back();
      fs::create_directories((root_ / library.substr(1)).parent_path());
      fs::copy_file(library, root_ / library.substr(1), fs::copy_options::skip_existing);
    }
    ::pclose(pipe);
  }

  std::string sh(Sandbox& sandbox, const std::string& script) {
    const SandboxRun ran = sandbox.run({"/bin/sh", "-euc", script});
    EXPECT_TRUE(ran.status.ok()) << ran.status.text() << "\n" << ran.output;
    return ran.output;
  }

  static const Sandbox::Change* find(const std::vector<Sandbox::Change>& changes, const std::string& path) {
    for (const Sandbox::Change& change : changes) {
      if (change.entry.path == path) {
        return &change;
      }
    }
    return nullptr;
  }

  os::TempDir dir_{fs::temp_directory_path(), "sandbox-test-"};
  fs::path root_;
  Sandbox::Options options_;
  NullEvents events_;
};

TEST_F(SandboxTest, OwnersAreWhatTheScriptsGave) {
  Sandbox sandbox(options_, events_);
  EXPECT_EQ(sh(sandbox, "touch /f; chown 42:8 /f; stat -c '%u:%g' /f; chown :5 /f; stat -c '%u:%g' /f; id -u"),
            "42:8\n42:5\n0\n");
  EXPECT_EQ(sh(sandbox, "stat -c '%u:%g' /f; chown root:root /f; stat -c '%u:%g' /f"),
            "42:5\n0:0\n");  // a later run sees it
}

TEST_F(SandboxTest, RecordsFollowTheFile) {
  Sandbox sandbox(options_, events_);
  EXPECT_EQ(sh(sandbox,
               "mkdir /d; touch /d/a; chown 7:9 /d/a; chmod 440 /d/a; mv /d/a /d/b; ln /d/b /d/c; cp -a /d/b /d/e; "
               "chown 1:2 /d/e;"
               "cd /d; stat -c '%n %u:%g %a' b c e; install -o games -g mail -m 640 /old/file i; stat -c '%u:%g %a' i; "
               "tar -cf t --numeric-owner b; rm b; tar -xf t; stat -c '%u:%g %a' b"),
            "b 7:9 440\nc 7:9 440\ne 1:2 440\n5:8 640\n7:9 440\n");
}

TEST_F(SandboxTest, LowerFilesKeepTheOwnerTheirTreeGaveThem) {
  const os::Fd file(::open((root_ / "old/kept").c_str(), O_PATH | O_CLOEXEC));
  ASSERT_TRUE(write_record(file.get(), {0, 42}));
  Sandbox sandbox(options_, events_);
  EXPECT_EQ(sh(sandbox, "stat -c '%u:%g' /old/kept; chmod 600 /old/kept; stat -c '%u:%g' /old/kept"), "0:42\n0:42\n");
  const auto changes = sandbox.capture();
  const Sandbox::Change* kept = find(changes, "old/kept");
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->entry.gid, 42U);
  EXPECT_EQ(kept->entry.mode, 0600U);
}

TEST_F(SandboxTest, CaptureTellsWrittenRemovedReplacedAndLinked) {
  Sandbox sandbox(options_, events_);
  sh(sandbox,
     "echo new > /new; chown 42:8 /new; chmod 4750 /new; ln /new /new2; ln -s target /link; chown -h 3:4 /link; rm "
     "/old/file; "
     "rm -r /etc; mkdir /etc; echo x > /etc/x; touch -d @1700000000 /new; echo gone > /tmp/gone; echo gone > "
     "/run/gone");
  const auto changes = sandbox.capture();
  const Sandbox::Change* fresh = find(changes, "new");
  ASSERT_NE(fresh, nullptr);
  EXPECT_EQ(fresh->entry.uid, 42U);
  EXPECT_EQ(fresh->entry.gid, 8U);
  EXPECT_EQ(fresh->entry.mode, 04750U);
  EXPECT_EQ(fresh->entry.mtime, options_.epoch);
  EXPECT_TRUE(fresh->entry.xattrs.empty());
  EXPECT_EQ(os::read_file(fresh->content), "new\n");
  ASSERT_NE(find(changes, "new2"), nullptr);
  EXPECT_EQ(find(changes, "new2")->entry.type, codec::FileType::HardLink);
  EXPECT_EQ(find(changes, "new2")->entry.link, "new");
  EXPECT_EQ(find(changes, "link")->entry.link, "target");
  EXPECT_EQ(find(changes, "link")->entry.uid, 3U);
  EXPECT_EQ(find(changes, "old/file")->kind, Sandbox::Change::Kind::Removed);
  EXPECT_EQ(find(changes, "etc")->kind, Sandbox::Change::Kind::Replaced);
  EXPECT_NE(find(changes, "etc/x"), nullptr);
  EXPECT_EQ(find(changes, "tmp"), nullptr);
  EXPECT_EQ(find(changes, "tmp/gone"), nullptr);
  EXPECT_EQ(find(changes, "run/gone"), nullptr);
}

TEST_F(SandboxTest, InputOutputStatusAndNothingStaysBehind) {
  options_.emulate_ownership = false;
  Sandbox sandbox(options_, events_);
  const SandboxRun ran = sandbox.run({"/bin/sh", "-c", "cat; echo err >&2; echo $A $LC_ALL $HOME; sleep 1000 & exit 3"},
                                     {{"A", "b"}}, "/", "in\n");
  EXPECT_EQ(ran.output, "in\nerr\nb C.UTF-8 /root\n");
  EXPECT_EQ(ran.status.code, 3);
}

TEST_F(SandboxTest, MountsAreSeenButNotCaptured) {
  const fs::path outside = dir_.path() / "outside";
  fs::create_directories(outside);
  os::write_file(outside / "in", "data\n");
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(outside.c_str(), 64999, 64999), 0);
  }
  options_.mounts = {{outside, "/mnt/extra", false}};
  Sandbox sandbox(options_, events_);
  EXPECT_EQ(sh(sandbox, "cat /mnt/extra/in; echo made > /mnt/extra/out; echo kept > /kept"), "data\n");
  EXPECT_EQ(os::read_file(outside / "out"), "made\n");
  const auto changes = sandbox.capture();
  ASSERT_EQ(changes.size(), 1U);
  EXPECT_EQ(changes[0].entry.path, "kept");
}

TEST(OwnerRecord, ReadsWhatItWrites) {
  EXPECT_EQ(parse_record(to_record({42, 4294967294U})), (Owner{42, 4294967294U}));
  EXPECT_EQ(parse_record("1"), std::nullopt);
  EXPECT_EQ(parse_record("1 x"), std::nullopt);
  EXPECT_EQ(parse_record("99999999999 1"), std::nullopt);
}

}  // namespace
}  // namespace slip::launch
