#include "store/store_fixture.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include "codec/sha256.h"

namespace slip::store {
namespace {

using testing::ElementsAre;

TEST_F(StoreTest, KilledAtEveryDurableStepTheStoreStaysValid) {
  const Digest blob = codec::sha256("content");
  const Digest adopted = codec::sha256("adopted");
  const auto work = [&](const fs::path& root) {
    Store store(root);
    const fs::path partial = store.partial_path(adopted);
    write(partial, "adopted");
    store.adopt_blob(partial, adopted);
    store.put_blob("content");
    for (const char* key : {"kept", "dropped"}) {
      store.ensure_tree(key, [](const fs::path& into) {
        write(into / "one", "1");
        write(into / "two", "2");
      });
    }
    store.set_tag("x:1", blob);
    store.gc([&](const Digest& d) { return d == blob; }, [](const std::string& key) { return key == "kept"; });
    EXPECT_TRUE(store.has_blob(blob) && !store.has_blob(adopted) && store.find_tree("kept") &&
                !store.find_tree("dropped"));
    EXPECT_EQ(store.resolve("x:1"), blob);
  };
  const int kills = kill_at_every_step(work, [&](const fs::path& root) {
    Store store(root);
    EXPECT_EQ(names(root / "tmp").size(), 1u);
    for (const char* key : {"kept", "dropped"}) {
      const auto tree = store.find_tree(key);
      EXPECT_TRUE(!tree || names(*tree) == (std::vector<std::string>{"one", "two"}));
    }
    EXPECT_TRUE(!store.resolve("x:1") || store.has_blob(blob));
    EXPECT_TRUE(store.remove_damaged().empty());
    EXPECT_THAT(names(root / "blobs/sha256"), testing::Each(testing::SizeIs(64)));
  });
  EXPECT_GE(kills, 12);
}

TEST_F(StoreTest, TreesThatAPowerCutMayHaveTornAreDroppedAndSettledOnesKept) {
  {
    Store store(root_);
    store.ensure_tree("settled", [](const fs::path&) {});
    const auto all = [](const auto&) { return true; };
    store.gc(all, all);  // settles
    store.ensure_tree("torn", [](const fs::path&) {});
  }
  const std::vector<std::string> boots = names(root_ / "fresh");
  ASSERT_EQ(boots.size(), 1u);
  EXPECT_THAT(names(root_ / "fresh" / boots[0]), ElementsAre("torn"));
  {
    EXPECT_TRUE(Store(root_).find_tree("torn"));
  }  // the same boot
  fs::rename(root_ / "fresh" / boots[0], root_ / "fresh/another-boot");
  const Store store(root_);
  EXPECT_FALSE(store.find_tree("torn"));
  EXPECT_TRUE(store.find_tree("settled"));
  EXPECT_FALSE(fs::exists(root_ / "fresh/another-boot"));
}

TEST_F(StoreTest, IsPrivateAndRefusesNewerAndDamagedIndexes) {
  {
    const Store store(root_);
  }
  EXPECT_EQ(fs::status(root_).permissions(), fs::perms(::geteuid() == 0 ? 0711 : 0700));
  EXPECT_EQ(fs::status(root_ / "trees").permissions(), fs::perms(0700));
  EXPECT_EQ(fs::status(root_ / "index.db").permissions(), fs::perms(0600));
  // The version is a big-endian number at byte 60 of the file.
  {
    std::fstream db(root_ / "index.db", std::ios::in | std::ios::out | std::ios::binary);
    db.seekp(60);
    db.write("\0\0\0\x63", 4);
  }
  EXPECT_EQ(kind_of([&] { const Store store(root_); }), ErrorKind::Unsupported);
  write(root_ / "index.db", std::string(5000, 'j'));
  EXPECT_EQ(kind_of([&] { const Store store(root_); }), ErrorKind::Corrupt);
}

TEST_F(StoreTest, RefusesTheStoreOfSomebodyElse) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "giving a folder away needs root";
  }
  {
    const Store store(root_);
  }
  ASSERT_EQ(::chown(root_.c_str(), 12345, 12345), 0);
  EXPECT_EQ(kind_of([&] { const Store store(root_); }), ErrorKind::Denied);
}

TEST_F(StoreTest, AFullDiskIsAnErrorOfItsOwnAndNothingIsHalfWritten) {
  const fs::path mount = dir_.path() / "small";
  fs::create_directory(mount);
  const int status = in_child([&] {
    if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        ::mount("none", mount.c_str(), "tmpfs", 0, "size=1m") != 0) {
      return 77;
    }
    const auto full = [](const std::function<void()>& body) {
      try {
        body();
      } catch (const Error& e) {
        return e.kind() == ErrorKind::NoSpace && !e.hints().empty();
      }
      return false;
    };
    Store store(mount / "s");
    const std::string big(2'000'000, 'x');
    const bool blob = full([&] { store.put_blob(big); }) && !store.has_blob(codec::sha256(big));
    const bool tree =
        full([&] { store.ensure_tree("big", [&](const fs::path& into) { os::write_file(into / "f", big); }); }) &&
        !store.find_tree("big");
    const fs::path own = mount / "s/tmp" / names(mount / "s/tmp")[0];
    const bool clean = names(own).empty() && names(mount / "s/blobs/sha256").empty();
    // Fill the rest: the index must say the same.
    const std::string chunk(4096, 'f');
    std::ofstream filler(mount / "filler", std::ios::binary);
    while (filler.write(chunk.data(), 4096).flush()) {
    }
    const bool record = full([&] {
      for (int i = 0; i < 100; ++i) {
        store.set_record("b", std::to_string(i), std::string(50'000, 'r'));
      }
    });
    filler.close();
    fs::remove(mount / "filler");
    store.set_record("b", "again", "works");
    const bool again = store.record("b", "again") == "works" && store.read_blob(store.put_blob("small")) == "small";
    return (blob ? 0 : 1) + (tree ? 0 : 2) + (clean ? 0 : 4) + (record ? 0 : 8) + (again ? 0 : 16);
  });
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "mounting a small file system needs root";
  }
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace slip::store
