#include "os/file.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

namespace slip::os {
namespace {

unsigned mode_of(const fs::path& path) {
  struct stat st{};
  return ::lstat(path.c_str(), &st) == 0 ? st.st_mode & 07777 : 0;
}

std::size_t entries(const fs::path& folder) {
  return static_cast<std::size_t>(std::distance(fs::directory_iterator(folder), fs::directory_iterator()));
}

class Files : public testing::Test {
 protected:
  TempDir dir_{fs::temp_directory_path(), "slip-os-test-"};
  const fs::path& at() { return dir_.path(); }
};

TEST_F(Files, WriteReplacesWithTheExactMode) {
  const mode_t before = ::umask(077);
  write_file(at() / "a", "one", 0644);
  write_file(at() / "a", "two", 0755);
  ::umask(before);
  EXPECT_EQ(read_file(at() / "a"), "two");
  EXPECT_EQ(mode_of(at() / "a"), 0755U);
  EXPECT_EQ(entries(at()), 1U);
}

/// A child that replaces a file and dies before its n-th durable step leaves the old content or the new one, for
/// every n; the next write to the same file clears away what the dead one left.
TEST_F(Files, AKillAtAnyStepLeavesOldOrNew) {
  const fs::path file = at() / "state";
  bool survived = false;
  int old_seen = 0;
  int new_seen = 0;
  for (int step = 1; step < 20 && !survived; ++step) {
    write_file(file, "old");
    const pid_t pid = ::fork();
    ASSERT_GE(pid, 0);
    if (pid == 0) {
      ::setenv("SLIPWAY_TEST_KILL_AT", std::to_string(durable_steps() + static_cast<std::uint64_t>(step)).c_str(), 1);
      write_file(file, "new");
      ::_exit(0);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(pid, &status, 0), pid);
    survived = WIFEXITED(status);
    const std::string content = read_file(file);
    EXPECT_TRUE(content == "old" || content == "new") << content;
    (content == "old" ? old_seen : new_seen) += 1;
    write_file(file, "next");
    EXPECT_EQ(read_file(file), "next");
    EXPECT_EQ(entries(at()), 1U) << "a stray temporary file stayed after step " << step;
  }
  EXPECT_TRUE(survived);
  EXPECT_EQ(old_seen, 2);  // before fsync, before rename
  EXPECT_EQ(new_seen, 2);  // before the folder's fsync, and the run that was not killed
}

TEST_F(Files, AnUncommittedFileLeavesNoTrace) {
  {
    AtomicFile file(at() / "a");
    file.write(as_bytes("x"));
    EXPECT_EQ(entries(at()), 1U);
  }
  EXPECT_EQ(entries(at()), 0U);
}

TEST_F(Files, TwoWritersOfOneTargetDoNotMeet) {
  AtomicFile a(at() / "t");
  AtomicFile b(at() / "t");
  EXPECT_NE(a.temp_path(), b.temp_path());
  a.write(as_bytes("a"));
  b.write(as_bytes("b"));
  a.commit();
  b.commit();
  EXPECT_EQ(read_file(at() / "t"), "b");
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 20; ++n) {
        write_file(at() / "t", std::string(1000, 'z'));
      }
    });
  }
  for (std::thread& t : threads) {
    t.join();
  }
  EXPECT_EQ(read_file(at() / "t"), std::string(1000, 'z'));
  EXPECT_EQ(entries(at()), 1U);
}

TEST_F(Files, LongNamesGetATempName) {
  const std::string name(255, 'n');
  write_file(at() / name, "x");
  EXPECT_EQ(read_file(at() / name), "x");
}

TEST_F(Files, ReadingHasALimitAndKnowsFilesOfProc) {
  write_file(at() / "a", "12345");
  EXPECT_EQ(read_file(at() / "a", 5), "12345");
  EXPECT_THROW(read_file(at() / "a", 4), Error);
  EXPECT_FALSE(read_file("/proc/self/status").empty());
  EXPECT_EQ(read_file_if_any(at() / "none"), std::nullopt);
  try {
    read_file(at() / "none");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::NotFound);
    EXPECT_NE(e.joined().find("(ENOENT)"), std::string::npos);
  }
}

TEST_F(Files, MakesFoldersWithTheExactMode) {
  const mode_t before = ::umask(077);
  make_dirs(at() / "a/b/c", 0755);
  ::umask(before);
  EXPECT_EQ(mode_of(at() / "a"), 0755U);
  EXPECT_EQ(mode_of(at() / "a/b/c"), 0755U);
  make_dirs(at() / "a/b/c", 0700);
  EXPECT_EQ(mode_of(at() / "a/b/c"), 0755U) << "a folder that is there keeps its mode";
  write_file(at() / "f", "");
  EXPECT_THROW(make_dirs(at() / "f"), Error);
}

TEST_F(Files, RemovesTreesWhateverTheModesAndNeverThroughLinks) {
  write_file(at() / "keep", "x");
  make_dirs(at() / "t/closed/deep", 0755);
  fs::create_symlink(at(), at() / "t/closed/link");
  write_file(at() / "t/closed/deep/f", "x", 0000);
  ::chmod((at() / "t/closed/deep").c_str(), 0000);
  ::chmod((at() / "t/closed").c_str(), 0500);
  remove_tree(at() / "t");
  remove_tree(at() / "t");
  EXPECT_EQ(entries(at()), 1U);
  EXPECT_EQ(read_file(at() / "keep"), "x");
}

TEST_F(Files, LocksExcludeAndShare) {
  const fs::path path = at() / "lock";
  {
    const FileLock held(path, FileLock::Mode::Shared);
    EXPECT_TRUE(FileLock::try_lock(path, FileLock::Mode::Shared).has_value());
    EXPECT_FALSE(FileLock::try_lock(path, FileLock::Mode::Exclusive).has_value());
  }
  EXPECT_TRUE(FileLock::try_lock(path, FileLock::Mode::Exclusive).has_value());
}

TEST_F(Files, MapsFilesAndEmptyOnes) {
  write_file(at() / "a", "bytes");
  write_file(at() / "e", "");
  EXPECT_EQ(as_text(Mapping(at() / "a").bytes()), "bytes");
  EXPECT_TRUE(Mapping(at() / "e").bytes().empty());
}

TEST(Errors, KindsFollowErrno) {
  EXPECT_EQ(sys_error(ENOENT, "x").kind(), ErrorKind::NotFound);
  EXPECT_EQ(sys_error(ESRCH, "x").kind(), ErrorKind::NotFound);
  EXPECT_EQ(sys_error(EPERM, "x").kind(), ErrorKind::Denied);
  EXPECT_EQ(sys_error(ENOSPC, "x").kind(), ErrorKind::NoSpace);
  EXPECT_FALSE(sys_error(ENOSPC, "x").hints().empty());
  EXPECT_EQ(sys_error(EIO, "write `a`").joined(), "write `a`: Input/output error (EIO)");
}

TEST(Fds, MoveToItselfKeepsTheDescriptor) {
  Fd fd = open_read("/dev/null");
  Fd& same = fd;
  fd = std::move(same);
  EXPECT_TRUE(fd.valid());
}

}  // namespace
}  // namespace slip::os
