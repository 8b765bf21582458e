#include "store/store_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "codec/sha256.h"

namespace slip::store {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

TEST_F(StoreTest, BlobsGoInOnceReadOnlyAndComeBackEqual) {
  Store store(root_);
  const Digest digest = store.put_blob("hello\n");
  EXPECT_EQ(digest.hex(), "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
  EXPECT_EQ(store.put_blob("hello\n"), digest);
  EXPECT_TRUE(store.has_blob(digest));
  EXPECT_EQ(store.read_blob(digest), "hello\n");
  EXPECT_EQ(store.blob_path(digest), root_ / "blobs/sha256" / digest.hex());
  EXPECT_EQ(fs::status(store.blob_path(digest)).permissions(), fs::perms(0444));
  EXPECT_EQ(store.read_blob(store.put_blob("")), "");
  EXPECT_FALSE(store.has_blob(codec::sha256("other")));
  EXPECT_EQ(kind_of([&] { (void)store.read_blob(codec::sha256("other")); }), ErrorKind::NotFound);
  EXPECT_EQ(kind_of([&] { (void)store.read_blob(digest, 3); }), ErrorKind::Invalid);
}

/// Memory, or the disk when throw-away folders lie in memory.
std::optional<fs::path> folder_on_another_file_system(const fs::path& than) {
  struct stat here{};
  EXPECT_EQ(::stat(than.c_str(), &here), 0);
  for (const char* folder : {"/dev/shm", "/var/tmp"}) {
    struct stat there{};
    if (::stat(folder, &there) == 0 && there.st_dev != here.st_dev && ::access(folder, W_OK) == 0) {
      return folder;
    }
  }
  return std::nullopt;
}

TEST_F(StoreTest, AdoptsAFileByRenameAndFromAnotherFileSystemByVerifiedCopy) {
  Store store(root_);
  const fs::path file = store.partial_path(codec::sha256("data"));
  write(file, "data");
  store.adopt_blob(file, codec::sha256("data"));
  EXPECT_EQ(store.read_blob(codec::sha256("data")), "data");
  EXPECT_FALSE(fs::exists(file));
  write(file, "data");  // a second process was as fast
  store.adopt_blob(file, codec::sha256("data"));
  EXPECT_FALSE(fs::exists(file));

  const std::optional<fs::path> elsewhere = folder_on_another_file_system(root_);
  if (!elsewhere) {
    GTEST_SKIP() << "no second file system at /dev/shm or /var/tmp";
  }
  const os::TempDir other(*elsewhere, "store-test-");
  write(other.path() / "x", "elsewhere");
  EXPECT_EQ(kind_of([&] { store.adopt_blob(other.path() / "x", codec::sha256("promised")); }), ErrorKind::Corrupt);
  EXPECT_FALSE(store.has_blob(codec::sha256("promised")));
  store.adopt_blob(other.path() / "x", codec::sha256("elsewhere"));
  EXPECT_EQ(store.read_blob(codec::sha256("elsewhere")), "elsewhere");
  EXPECT_THAT(names(other.path()), IsEmpty());
}

TEST_F(StoreTest, ADamagedBlobIsReportedAndRemovedOnlyOnDemand) {
  Store store(root_);
  const Digest digest = store.put_blob("precious");
  const Digest sound = store.put_blob("sound");
  fs::permissions(store.blob_path(digest), fs::perms(0644));
  write(store.blob_path(digest), "precioux");
  try {
    (void)store.read_blob(digest);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Corrupt);
    EXPECT_THAT(e.hints(), ElementsAre(testing::HasSubstr("gc --verify")));
  }
  EXPECT_TRUE(store.has_blob(digest));
  EXPECT_THAT(store.remove_damaged(), ElementsAre(digest));
  EXPECT_FALSE(store.has_blob(digest));
  EXPECT_EQ(store.read_blob(sound), "sound");
}

TEST_F(StoreTest, TreesAreMadeOnce) {
  Store store(root_);
  EXPECT_EQ(store.find_tree("deb-1"), std::nullopt);
  int made = 0;
  const auto make = [&](const fs::path& into) {
    EXPECT_EQ(fs::status(into).permissions(), fs::perms(0755));
    write(into / "file", "x");
    ++made;
  };
  EXPECT_EQ(store.ensure_tree("deb-1", make), root_ / "trees/deb-1");
  EXPECT_EQ(store.ensure_tree("deb-1", make), root_ / "trees/deb-1");
  EXPECT_EQ(made, 1);
  EXPECT_EQ(os::read_file(*store.find_tree("deb-1") / "file"), "x");
  for (const char* bad : {"", ".x", "../x", "a/b", "A", "a_b", "-x"}) {
    EXPECT_EQ(kind_of([&] { (void)store.find_tree(bad); }), ErrorKind::Internal) << bad;
  }
}

TEST_F(StoreTest, AMakerThatThrowsLeavesNothing) {
  Store store(root_);
  EXPECT_EQ(kind_of([&] {
              store.ensure_tree("half", [](const fs::path& into) {
                write(into / "file", "x");
                throw Error(ErrorKind::Invalid, "stop");
              });
            }),
            ErrorKind::Invalid);
  EXPECT_EQ(store.find_tree("half"), std::nullopt);
  ASSERT_EQ(names(root_ / "tmp").size(), 1u);
  EXPECT_THAT(names(root_ / "tmp" / names(root_ / "tmp")[0]), IsEmpty());
}

TEST_F(StoreTest, ThreadsAndProcessesThatWantOneTreeMakeItOnce) {
  {
    const Store make_layout(root_);
  }
  const fs::path log = dir_.path() / "log";
  std::vector<pid_t> children;
  for (int i = 0; i < 4; ++i) {
    const pid_t child = ::fork();
    if (child == 0) {
      Store store(root_);
      const auto use = [&] {
        store.ensure_tree("wanted", [&](const fs::path& into) {
          std::ofstream(log, std::ios::app) << "made\n";
          ::usleep(50'000);
          write(into / "file", "x");
        });
      };
      std::thread other(use);
      use();
      other.join();
      ::_exit(fs::exists(root_ / "trees/wanted/file") ? 0 : 1);
    }
    children.push_back(child);
  }
  for (const pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
  }
  EXPECT_EQ(os::read_file(log), "made\n");
}

TEST_F(StoreTest, RecordsAndTagsSurviveReopening) {
  const std::string odd("a\0b\xff", 4);
  {
    Store store(root_);
    store.set_record("layer", "key", "old");
    store.set_record("layer", "key", odd);
    store.set_record("layer", "empty", "");
    store.set_tag("tf29-dev:latest", codec::sha256("m1"));
    store.set_tag("a:1", codec::sha256("m0"));
    store.set_tag("tf29-dev:latest", codec::sha256("m2"));
  }
  Store store(root_);
  EXPECT_EQ(store.record("layer", "key"), odd);
  EXPECT_EQ(store.record("layer", "empty"), "");
  EXPECT_EQ(store.record("other", "key"), std::nullopt);
  EXPECT_EQ(store.resolve("tf29-dev:latest"), codec::sha256("m2"));
  EXPECT_EQ(store.resolve("tf29-dev"), std::nullopt);
  const auto images = store.images();
  ASSERT_EQ(images.size(), 2u);
  EXPECT_EQ(images[0].reference, "a:1");
  EXPECT_EQ(images[1].manifest, codec::sha256("m2"));
  EXPECT_GT(images[1].built, 1'600'000'000);
  EXPECT_TRUE(store.remove_tag("a:1"));
  EXPECT_FALSE(store.remove_tag("a:1"));
}

/// Another process that comes and goes must not take the index's log from under one that stays, or its records are lost
/// and the index is damaged.
TEST_F(StoreTest, TheIndexKeepsItsLogWhileAnybodyHasItOpen) {
  int go[2];
  int done[2];
  ASSERT_EQ(::pipe(go), 0);
  ASSERT_EQ(::pipe(done), 0);
  const auto tell = [](int fd) { (void)!::write(fd, "x", 1); };
  const auto wait = [](int fd) {
    char byte = 0;
    return ::read(fd, &byte, 1) == 1;
  };
  const pid_t child = ::fork();
  if (child == 0) {
    ::close(done[0]);
    {
      Store first(root_);  // a second one in one process must not undo the first one's locks either
      const Store second(root_);
      tell(done[1]);
      wait(go[0]);
      first.set_record("layer", "from the one that stays", "1");
      tell(done[1]);
      wait(go[0]);
    }
    ::_exit(0);
  }
  ::close(done[1]);
  ASSERT_TRUE(wait(done[0]));
  {
    Store(root_).set_record("layer", "from a passer-by", "2");
  }
  EXPECT_TRUE(fs::exists(root_ / "index.db-wal"));
  tell(go[1]);
  ASSERT_TRUE(wait(done[0]));
  {
    const Store store(root_);
    EXPECT_EQ(store.record("layer", "from the one that stays"), "1");
    EXPECT_EQ(store.record("layer", "from a passer-by"), "2");
  }
  tell(go[1]);
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  const Store store(root_);
  EXPECT_EQ(store.record("layer", "from the one that stays"), "1");
  for (const int fd : {go[0], go[1], done[0]}) {
    ::close(fd);
  }
}

TEST_F(StoreTest, ManyThreadsShareOneStore) {
  Store store(root_);
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&store, &wrong, t] {
      for (int i = 0; i < 25; ++i) {
        const std::string text = std::to_string(i % 7);
        const Digest digest = store.put_blob(text);
        store.set_record("t" + std::to_string(t), text, text);
        wrong += store.read_blob(digest) != text || store.record("t" + std::to_string(t), text) != text;
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(wrong, 0);
}

TEST_F(StoreTest, GcRemovesWhatIsNotKeptAndCountsSharedFilesOnce) {
  Store store(root_);
  const Digest kept = store.put_blob("kept");
  const Digest dropped = store.put_blob(std::string(100'000, 'x'));
  store.ensure_tree("a", [](const fs::path& into) { write(into / "big", std::string(1'000'000, 'y')); });
  store.ensure_tree("b", [&](const fs::path& into) { fs::create_hard_link(root_ / "trees/a/big", into / "big"); });
  write(store.partial_path(codec::sha256("wanted")).string() + ".part", "w");
  write(store.partial_path(codec::sha256("unwanted")).string() + ".part", "u");
  const auto keep = [&](const Digest& d) { return d == kept || d == codec::sha256("wanted"); };

  Store::Freed freed = store.gc(keep, [](const std::string& key) { return key == "b"; });
  EXPECT_EQ(freed.blobs, 1u);
  EXPECT_EQ(freed.trees, 1u);
  EXPECT_GE(freed.bytes, 100'000u);
  EXPECT_LT(freed.bytes, 500'000u);
  EXPECT_TRUE(store.has_blob(kept));
  EXPECT_FALSE(store.has_blob(dropped));
  EXPECT_EQ(store.last_use(dropped), std::nullopt);
  EXPECT_NE(store.last_use(kept), std::nullopt);
  EXPECT_EQ(store.find_tree("a"), std::nullopt);
  EXPECT_NE(store.find_tree("b"), std::nullopt);
  EXPECT_THAT(names(root_ / "partial"), ElementsAre(codec::sha256("wanted").hex() + ".part"));

  freed = store.gc(keep, [](const std::string&) { return false; });
  EXPECT_EQ(freed.trees, 1u);
  EXPECT_GE(freed.bytes, 1'000'000u);
  EXPECT_EQ(store.put_blob("still usable"), codec::sha256("still usable"));
}

TEST_F(StoreTest, ALeasedTreeOutlivesGcAlsoWhenItsHolderClosedTheStore) {
  std::optional<Lease> lease;
  {
    Store store(root_);
    EXPECT_FALSE(store.lease_tree("none"));
    store.ensure_tree("root", [](const fs::path& into) { write(into / "f", "x"); });
    lease = store.lease_tree("root");
    ASSERT_TRUE(lease);
  }
  Store store(root_);
  const auto nothing = [](const auto&) { return false; };
  EXPECT_EQ(store.gc(nothing, nothing).trees, 0u);
  EXPECT_EQ(os::read_file(lease->tree() / "f"), "x");
  lease.reset();
  EXPECT_EQ(store.gc(nothing, nothing).trees, 1u);
  EXPECT_THAT(names(root_ / "leases"), IsEmpty());
}

TEST_F(StoreTest, ALeaseOfAKilledProcessEndsWithIt) {
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t holder = ::fork();
  if (holder == 0) {
    std::optional<Lease> lease;
    {
      Store store(root_);
      store.ensure_tree("root", [](const fs::path&) {});
      lease = store.lease_tree("root");
    }
    (void)!::write(ready[1], lease ? "x" : "-", 1);
    ::pause();
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 'x');
  Store store(root_);
  const auto nothing = [](const auto&) { return false; };
  EXPECT_EQ(store.gc(nothing, nothing).trees, 0u);
  EXPECT_TRUE(store.find_tree("root"));
  ::kill(holder, SIGKILL);
  ::waitpid(holder, nullptr, 0);
  EXPECT_EQ(store.gc(nothing, nothing).trees, 1u);
  EXPECT_FALSE(store.find_tree("root"));
  ::close(ready[0]);
  ::close(ready[1]);
}

/// Whatever the disk does to a blob, its digest tells: a flipped bit, a lost tail, nothing left.
TEST_F(StoreTest, EveryKindOfDamageIsFound) {
  Store store(root_);
  const std::string text(100'000, 'p');
  std::vector<Digest> damaged;
  const auto damage = [&](const std::string& content, const std::string& becomes) {
    const Digest digest = store.put_blob(content);
    fs::permissions(store.blob_path(digest), fs::perms(0644));
    write(store.blob_path(digest), becomes);
    damaged.push_back(digest);
  };
  std::string flipped = text + "1";
  flipped[50'000] ^= 1;
  damage(text + "1", flipped);
  damage(text + "2", text);
  damage(text + "3", "");
  damage(text + "4", text + "4x");
  const Digest sound = store.put_blob(text);
  const Digest empty = store.put_blob("");
  std::uint64_t last = 0;
  std::uint64_t all = 0;
  EXPECT_THAT(store.remove_damaged([&](std::uint64_t done, std::uint64_t total) {
    EXPECT_GE(done, last);
    last = done;
    all = total;
  }),
              testing::UnorderedElementsAreArray(damaged));
  EXPECT_EQ(last, all);
  EXPECT_EQ(store.read_blob(sound), text);
  EXPECT_EQ(store.read_blob(empty), "");
  for (const Digest& digest : damaged) {
    EXPECT_FALSE(store.has_blob(digest));
  }
  EXPECT_TRUE(store.remove_damaged().empty());
}

/// A key becomes a name in the store's folder.
TEST_F(StoreTest, KeysThatLeadOutAreRefused) {
  Store store(root_);
  for (const std::string& key : {std::string("../x"), std::string("a/b"), std::string(""), std::string("."),
                                 std::string(".."), std::string("A"), std::string("a\0b", 3), std::string(201, 'a')}) {
    EXPECT_THROW((void)store.find_tree(key), Error) << key;
    EXPECT_THROW(store.ensure_tree(key, [](const fs::path&) {}), Error) << key;
    EXPECT_THROW((void)store.lease_tree(key), Error) << key;
  }
}

TEST_F(StoreTest, GcWaitsForOtherProcesses) {
  Store store(root_);
  int ready[2];
  ASSERT_EQ(::pipe(ready), 0);
  const pid_t child = ::fork();
  if (child == 0) {
    {
      Store theirs(root_);
      (void)!::write(ready[1], "x", 1);
      ::usleep(200'000);
      theirs.put_blob("late");
    }
    ::_exit(0);
  }
  char byte = 0;
  ASSERT_EQ(::read(ready[0], &byte, 1), 1);
  bool waited = false;
  const auto nothing = [](const auto&) { return false; };
  const Store::Freed freed = store.gc(nothing, nothing, [&] { waited = true; });
  EXPECT_TRUE(waited);
  EXPECT_EQ(freed.blobs, 1u);
  int status = 0;
  ::waitpid(child, &status, 0);
  ::close(ready[0]);
  ::close(ready[1]);
}

TEST_F(StoreTest, TheNextOpenerRemovesWhatAKilledProcessLeft) {
  EXPECT_EQ(WTERMSIG(in_child([&] {
              Store store(root_);
              store.ensure_tree("never", [](const fs::path& into) {
                write(into / "file", "x");
                fs::permissions(into, fs::perms(0));
                ::kill(::getpid(), SIGKILL);
              });
              return 0;
            })),
            SIGKILL);
  ASSERT_EQ(names(root_ / "tmp").size(), 1u);
  const std::string left = names(root_ / "tmp")[0];
  Store store(root_);
  const os::TempDir mine = store.temp_dir("x-");
  EXPECT_EQ(store.find_tree("never"), std::nullopt);
  EXPECT_FALSE(fs::exists(root_ / "tmp" / left));
  const Store second(root_);  // does not touch what a live one holds
  EXPECT_TRUE(fs::exists(mine.path()));
}

TEST_F(StoreTest, TwoThatFetchedTheSameFileMayBothAdoptIt) {
  Store first(root_);
  Store second(root_);
  for (int round = 0; round < 200; ++round) {
    const std::string text = format("blob {}", round);
    const Digest digest = codec::sha256(text);
    const fs::path file = first.partial_path(digest);
    write(file, text);
    std::atomic<int> ready = 0;
    const auto adopt = [&](Store& store) {
      ++ready;
      while (ready < 2) {
      }
      store.adopt_blob(file, digest);
    };
    std::thread other([&] { EXPECT_NO_THROW(adopt(second)); });
    EXPECT_NO_THROW(adopt(first));
    other.join();
    ASSERT_EQ(first.read_blob(digest), text);
  }
}

}  // namespace
}  // namespace slip::store
