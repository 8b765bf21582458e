#include "spec/ignore.h"

#include <gtest/gtest.h>

#include <set>

#include "core/error.h"
#include "core/text.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::spec {
namespace {

namespace fs = std::filesystem;

constexpr const char* kRules =
    "# comment\n\n*.tmp\n!keep.tmp\n/build\ncache/\na/**/z\n**/deep\nend/**\n[a-c]x\n[!a-c]y\n\\#literal\n\\!bang\n"
    "trailing   \nspace\\ \ndoc/*.txt\nq?\nw[]]\nv[^x]\nopen[\nsub/\n!sub/back\nx\\*y\n*.[oa]\nfoo*bar*baz\n";

const char* const kPaths[] = {
    "a.tmp",     "d/a.tmp",     "keep.tmp",     "d/keep.tmp",  "build/f",     "d/build/f", "cache/f",   "d/cache/f",
    "cachefile", "a/z",         "a/b/z",        "a/b/c/z",     "b/a/z",       "deep",      "x1/deep/f", "end/f",
    "end/g/h",   "ax",          "dx",           "ay",          "dy",          "#literal",  "!bang",     "trailing",
    "space ",    "doc/a.txt",   "doc/d/a.txt",  "e/doc/a.txt", "qa",          "qab",       "w]",        "vx",
    "vy",        "open[",       "sub/f",        "sub/back",    "x*y",         "xay",       "lib.o",     "lib.a",
    "lib.so",    "fooAbarBbaz", "foobarbarbaz", "foobaz",      "q/keep.tmp/r"};

TEST(Ignore, Examples) {
  const IgnoreRules rules = IgnoreRules::parse(kRules);
  EXPECT_TRUE(rules.ignored("./d/a.tmp", false));
  EXPECT_FALSE(rules.ignored("keep.tmp", false));
  EXPECT_TRUE(rules.ignored("cache", true));
  EXPECT_FALSE(rules.ignored("cache", false)) << "a file of that name is none";
  EXPECT_TRUE(rules.ignored("sub/back", false)) << "nothing inside an ignored folder comes back";
  EXPECT_FALSE(rules.ignored("", true));
  EXPECT_FALSE(rules.ignored(".", true));
  EXPECT_TRUE(IgnoreRules::parse("\n# only\n/\n!\n").empty());
  EXPECT_THROW(IgnoreRules::parse(std::string(1025, 'a')), Error);
}

/// git's own answer for the same patterns and files.
TEST(Ignore, AgreesWithGit) {
  os::Command version;
  version.argv = {"git", "--version"};
  try {
    os::run_checked(version);
  } catch (const Error&) {
    GTEST_SKIP() << "no git on this machine";
  }
  const os::TempDir dir(fs::temp_directory_path(), "ignore-test-");
  os::write_file(dir.path() / ".gitignore", kRules);
  os::Command git;
  git.cwd = dir.path();
  git.env = {{"PATH", std::getenv("PATH")}, {"HOME", dir.path()}, {"GIT_CONFIG_NOSYSTEM", "1"}};
  git.argv = {"git", "init", "-q", "."};
  os::run_checked(git);
  for (const char* path : kPaths) {
    fs::create_directories((dir.path() / path).parent_path());
    os::write_file(dir.path() / path, "");
  }
  git.argv = {"git", "ls-files", "-z", "--others", "--exclude-standard"};
  std::set<std::string> kept;
  const std::string listed = os::run_checked(git);
  for (const std::string_view path : split(listed, '\0')) {
    kept.insert(std::string(path));
  }
  ASSERT_TRUE(kept.contains("keep.tmp"));
  const IgnoreRules rules = IgnoreRules::parse(kRules);
  for (const char* path : kPaths) {
    EXPECT_EQ(rules.ignored(path, false), !kept.contains(path)) << path;
  }
}

/// A pattern that makes a backtracking matcher exponential.
TEST(Ignore, ManyStarsAreStillFast) {
  std::string pattern;
  for (int i = 0; i < 300; ++i) {
    pattern += "*a";
  }
  EXPECT_FALSE(IgnoreRules::parse(pattern + "b\n").ignored(std::string(4000, 'a'), false));
  std::string folders;
  std::string path = "a";
  for (int i = 0; i < 200; ++i) {
    folders += "**/";
    path += "/a";
  }
  EXPECT_FALSE(IgnoreRules::parse(folders + "b\n").ignored(path, false));
}

}  // namespace
}  // namespace slip::spec
