#include "lock/lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "core/error.h"
#include "lock/diff.h"
#include "lock/split.h"
#include "os/file.h"

namespace slip::lock {
namespace {

Digest digest_of(char c) { return Digest::from(std::string(64, c)); }

Lock sample() {
  Lock lock;
  lock.spec = digest_of('1');
  lock.suite = "bullseye";
  lock.snapshot = "2026-09-12T09:27:08Z";
  lock.python = "3.9";
  lock.exclude_newer = "2026-11-01T00:00:00Z";
  lock.encoder = "gzip/1";
  lock.init = digest_of('2');
  lock.added = {{"numpy<2", "tensorflow 2.9.0 was \"built\" against numpy 1"}};
  lock.debs = {{"bash",
                "5.1-2+deb11u1",
                "amd64",
                {"debian", "pool/main/b/bash/bash_5.1-2_amd64.deb", 1416508, digest_of('3')},
                "base",
                "base"},
               {"libtinfo6",
                "6.2",
                "amd64",
                {"debian", "pool/main/n/ncurses/libtinfo6_6.2_amd64.deb", 343000, digest_of('4')},
                "base",
                "needed by bash"},
               {"vim",
                "2:8.2",
                "amd64",
                {"debian", "pool/main/v/vim/vim_8.2_amd64.deb", 9'000'000, digest_of('5')},
                "vim",
                "apt"}};
  lock.wheels = {
      {"six",
       "1.16.0",
       {"pypi", "six-1.16.0-py2.py3-none-any.whl", 11053, digest_of('6')},
       std::nullopt,
       "wheels-1",
       "needed by tensorflow"},
      {"oldstyle",
       "1.0",
       {"pypi", "oldstyle-1.0.tar.gz", 99, digest_of('7')},
       Wheel::Built{"oldstyle-1.0-py3-none-any.whl", 120, digest_of('8'), {"setuptools==80.10.2", "wheel==0.45.1"}},
       "wheels-2",
       "requirement"}};
  lock.build_tools = {{"setuptools",
                       "80.10.2",
                       {"pypi", "setuptools-80.10.2-py3-none-any.whl", 5, digest_of('9')},
                       std::nullopt,
                       "",
                       "needed by oldstyle"}};
  return lock;
}

TEST(Lock, ReadsBackWhatItWrites) {
  const Lock lock = sample();
  const std::string text = to_toml(lock);
  EXPECT_EQ(from_toml(text, "slipway.lock"), lock);
  EXPECT_EQ(to_toml(from_toml(text, "slipway.lock")), text);
}

TEST(Lock, AChangedPinIsATwoLineDiff) {
  Lock changed = sample();
  changed.wheels[0].version = "1.17.0";
  const std::string before = to_toml(sample());
  const std::string after = to_toml(changed);
  int lines = 0;
  std::size_t a = 0;
  std::size_t b = 0;
  while (a < before.size() && b < after.size()) {
    const std::size_t a_end = before.find('\n', a);
    const std::size_t b_end = after.find('\n', b);
    lines += before.substr(a, a_end - a) != after.substr(b, b_end - b) ? 1 : 0;
    a = a_end + 1;
    b = b_end + 1;
  }
  EXPECT_EQ(lines, 1);  // one line out, one line in
}

TEST(Lock, SaysWhereAnErrorIs) {
  const auto message_of = [](std::string text) {
    try {
      from_toml(text, "slipway.lock");
    } catch (const Error& e) {
      return e.joined();
    }
    return std::string("accepted");
  };
  std::string wrong_type = to_toml(sample());
  wrong_type.replace(wrong_type.find("size = 1416508"), 14, "size = \"much\" ");
  EXPECT_NE(message_of(wrong_type).find("`size` must be a whole number"), std::string::npos) << message_of(wrong_type);
  std::string unknown = to_toml(sample());
  const auto at = unknown.begin() + static_cast<std::ptrdiff_t>(unknown.find("arch = "));
  const std::string line = format("slipway.lock:{}:", 1 + std::count(unknown.begin(), at, '\n'));
  std::copy_n("ARCH", 4, at);
  EXPECT_NE(message_of(unknown).find(line), std::string::npos) << message_of(unknown);
  EXPECT_NE(message_of("format = 2\n").find("lock format 2"), std::string::npos);
  EXPECT_NE(message_of("format = \n").find("slipway.lock:1:"), std::string::npos);
}

/// The error's first frame when `from` stands as `to` in the sample, and its hints.
std::string complaint(const std::string& from, const std::string& to) {
  std::string text = to_toml(sample());
  const std::size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  text.replace(at, from.size(), to);
  try {
    from_toml(text, "slipway.lock");
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::Invalid);
    EXPECT_FALSE(e.hints().empty());
    return e.joined();
  }
  ADD_FAILURE() << "accepted " << to;
  return {};
}

TEST(Lock, EveryFaultHasItsPlace) {
  using testing::HasSubstr;
  using testing::StartsWith;
  EXPECT_THAT(complaint("suite = \"bullseye\"\n", ""), HasSubstr("`suite` is missing"));
  EXPECT_THAT(complaint("suite = \"bullseye\"", "suite = 11"),
              StartsWith("slipway.lock:5:9: `suite` must be a string"));
  EXPECT_THAT(complaint("suite = ", "suit = \"\"\nsuite = "),
              StartsWith("slipway.lock:5:1: the key `suit` is not known to this slipway"));
  EXPECT_THAT(complaint("arch = \"amd64\"", "arch = \"amd64\", \"k\\u001b\" = 1"),
              HasSubstr("the key `k\\x1b` is not known"));
  EXPECT_THAT(complaint("2026-09-12T09:27:08Z", "2026-09-31T09:27:08Z"),
              StartsWith("slipway.lock:6:12: `2026-09-31T09:27:08Z` is not a time"));
  EXPECT_THAT(complaint("spec = \"sha256:1", "spec = \"sha256:x"),
              StartsWith("slipway.lock:4:8: `spec` must be a SHA-256"));
  EXPECT_THAT(complaint("size = 1416508", "size = -1"), HasSubstr("`size` must be a whole number"));
  EXPECT_THAT(complaint("size = 1416508", "size = 1.5"), HasSubstr("`size` must be a whole number"));
  EXPECT_THAT(complaint("size = 1416508", "size = 99999999999999999999"), StartsWith("slipway.lock:17:"));
  EXPECT_THAT(complaint("deb = [", "deb = 1 #["), HasSubstr("slipway.lock:"));
  EXPECT_THAT(complaint("with = [", "with = [1, "), HasSubstr("`with` must hold strings"));
  EXPECT_THAT(complaint("built = {", "built = 1 #"), HasSubstr("slipway.lock:"));
  EXPECT_THAT(complaint("suite = \"bullseye\"", "suite = \"bullseye"), StartsWith("slipway.lock:5:"));
  EXPECT_THAT(complaint("suite = ", "\xff = "), StartsWith("slipway.lock:5:1: a byte that no text has"));
  EXPECT_THAT(complaint("suite = ", "suite = \"a\"\nsuite = "), StartsWith("slipway.lock:6:"));
}

/// A lock comes with a project: the names in it must not reach elsewhere on this host.
TEST(Lock, PathsThatLeadOutAreRefused) {
  using testing::HasSubstr;
  for (const std::string path :
       {"../x.deb", "/etc/x.deb", "pool//x.deb", "pool/../x.deb", "./x.deb", "", "a\\u0000b"}) {
    EXPECT_THAT(complaint("pool/main/b/bash/bash_5.1-2_amd64.deb", path), HasSubstr("`file` is not the path of a file"))
        << path;
  }
  EXPECT_THAT(complaint("oldstyle-1.0.tar.gz", "/etc/oldstyle-1.0.tar.gz"), HasSubstr("is not the path of a file"));
  EXPECT_THAT(complaint("oldstyle-1.0.tar.gz", "etc/oldstyle-1.0.tar.gz"), HasSubstr("must be a file's name alone"));
  EXPECT_THAT(complaint("oldstyle-1.0-py3", "x/oldstyle-1.0-py3"), HasSubstr("must be a file's name alone"));
}

TEST(Lock, AMergeConflictIsCalledByItsName) {
  EXPECT_EQ(complaint("  { name = \"vim\"", "<<<<<<< HEAD\n  { name = \"vim\""),
            "slipway.lock:19:1: a merge conflict stands in it");
  EXPECT_EQ(complaint("suite = ", "=======\nsuite = "), "slipway.lock:5:1: a merge conflict stands in it");
  EXPECT_EQ(complaint("suite = ", ">>>>>>> other\nsuite = "), "slipway.lock:5:1: a merge conflict stands in it");
}

/// Locks that people have committed must stay readable, and are written as they are.
TEST(Lock, TheExamplesLocksComeBackByteForByte) {
  std::size_t seen = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(SLIP_SOURCE_DIR "/examples")) {
    if (entry.path().extension() == ".lock") {
      const std::string text = os::read_file(entry.path());
      EXPECT_EQ(to_toml(from_toml(text, entry.path().filename())), text) << entry.path();
      ++seen;
    }
  }
  EXPECT_GE(seen, 2U);
}

TEST(Lock, TextsOfAnyKindComeBack) {
  Lock lock = sample();
  lock.added[0].because = "quotes \" and \\ and\ttabs\nlines \x01\x7f größe";
  lock.debs.clear();
  EXPECT_EQ(from_toml(to_toml(lock), "l"), lock);
  lock = {};
  lock.snapshot = "1970-01-01T00:00:00Z";
  EXPECT_EQ(from_toml(to_toml(lock), "l"), lock) << "without Python, without packages";
  EXPECT_NE(digest(lock), digest(sample()));
}

TEST(Diff, NamesWhatCameWentAndMoved) {
  Lock after = sample();
  after.debs[0].version = "5.1-3";
  after.debs[0].artifact.sha256 = digest_of('a');
  after.debs.erase(after.debs.begin() + 2);
  after.wheels.push_back(after.wheels[0]);
  after.wheels.back().name = "zipp";
  const std::vector<Change> changes = diff(sample(), after);
  EXPECT_EQ(diff_table(changes), "deb\n ~ bash 5.1-2+deb11u1 -> 5.1-3\n - vim 2:8.2\nwheel\n + zipp 1.16.0\n");
  EXPECT_TRUE(diff(sample(), sample()).empty());
}

TEST(Diff, SettingsAndFilesOfTheSameVersion) {
  Lock after = sample();
  after.snapshot = "2026-09-13T00:00:00Z";
  after.wheels[0].artifact.sha256 = digest_of('f');
  after.build_tools.clear();
  after.tools = sample().build_tools;
  EXPECT_EQ(diff_table(diff(sample(), after)),
            "setting\n ~ snapshot 2026-09-12T09:27:08Z -> 2026-09-13T00:00:00Z\n"
            "wheel\n ~ six 1.16.0 -> 1.16.0 (another file)\n"
            "build tool\n - setuptools 80.10.2\ntool\n + setuptools 80.10.2\n");
}

TEST(Split, BaseLargeAndBuckets) {
  Lock lock = sample();
  split_layers(lock);
  EXPECT_EQ(lock.debs[0].layer, "base");
  EXPECT_EQ(lock.debs[1].layer, "base");
  EXPECT_EQ(lock.debs[2].layer, "vim");
  EXPECT_TRUE(lock.wheels[0].layer.starts_with("wheels-"));
  Lock more = lock;
  more.wheels.push_back({"aaa", "1", {"pypi", "aaa", 5, digest_of('b')}, std::nullopt, "", "requirement"});
  split_layers(more);
  EXPECT_EQ(more.wheels[0].layer, lock.wheels[0].layer);
}

TEST(Split, CudaOfDebianIsOneLayer) {
  Lock lock = sample();
  for (const auto& [name, why] : {std::pair{"libcublas11", "gpu"}, {"libcublaslt11", "needed by libcublas11"}}) {
    lock.debs.push_back({name, "11.4", "amd64", {"debian", name, 80'000'000, digest_of('9')}, "", why});
  }
  split_layers(lock);
  EXPECT_EQ(lock.debs[3].layer, "cuda");
  EXPECT_EQ(lock.debs[4].layer, "cuda");
  EXPECT_EQ(lock.debs[1].layer, "base");
}

TEST(Split, NeverMoreThanFortyLayers) {
  Lock lock;
  lock.debs = {{"libcublas11", "11.4", "amd64", {"debian", "f", 80'000'000, digest_of('9')}, "", "gpu"}};
  for (int i = 0; i < 200; ++i) {
    lock.debs.push_back({format("d{}", i), "1", "all", {"debian", "f", 9'000'000, digest_of('c')}, "", "apt"});
    lock.wheels.push_back(
        {format("w{}", i), "1", {"pypi", "f", 9'000'000, digest_of('c')}, std::nullopt, "", "requirement"});
  }
  split_layers(lock);
  std::set<std::string> layers;
  for (const Deb& deb : lock.debs) {
    layers.insert(deb.layer);
  }
  for (const Wheel& w : lock.wheels) {
    layers.insert(w.layer);
  }
  EXPECT_LE(layers.size(), 33U);
}

}  // namespace
}  // namespace slip::lock
