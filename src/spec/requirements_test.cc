#include "spec/requirements.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "core/error.h"
#include "os/file.h"
#include "spec/pep508.h"

namespace slip::spec {
namespace {

namespace fs = std::filesystem;
using testing::HasSubstr;

class RequirementsTest : public testing::Test {
 protected:
  RequirementsFile read(const std::string& text, const std::string& file = "requirements.txt") {
    os::write_file(dir_.path() / file, text);
    return read_requirements(dir_.path(), file);
  }
  /// First frame and hints.
  std::string refusal(const std::string& text, const std::string& file = "requirements.txt") {
    try {
      read(text, file);
    } catch (const Error& e) {
      std::string all = e.chain().front();
      for (const std::string& hint : e.hints()) {
        all += "\n" + hint;
      }
      return all;
    }
    ADD_FAILURE() << "accepted: " << text;
    return {};
  }
  static std::vector<std::string> texts(const RequirementsFile& file) {
    std::vector<std::string> all;
    for (const Requirement& r : file.requirements) {
      all.push_back(to_string(r.place) + " " + r.text);
    }
    return all;
  }

  os::TempDir dir_{fs::temp_directory_path(), "requirements-test-"};
  const std::string hash_ = "sha256:" + std::string(64, 'a');
};

TEST_F(RequirementsTest, LinesAreReadAsPipReadsThem) {
  EXPECT_THAT(texts(read("# comment\r\n\r\n  numpy<2  # why\r\n--require-hashes\n"
                         "pandas[perf, test] == 1.5.3 ; python_version < \"3.10\"\n"
                         "black \\\n    >=24\nx (>=1,<2)\n")),
              testing::ElementsAre("requirements.txt:3:3 numpy<2",
                                   "requirements.txt:5:1 pandas[perf, test] == 1.5.3 ; python_version < \"3.10\"",
                                   "requirements.txt:6:1 black     >=24", "requirements.txt:8:1 x (>=1,<2)"));
}

TEST_F(RequirementsTest, HashesAreKept) {
  const auto found =
      read("numpy==1.26.4 \\\n  --hash=" + hash_ + " \\\n  --hash=sha256:" + std::string(64, 'b') + "\n");
  ASSERT_EQ(found.requirements.size(), 1U);
  EXPECT_EQ(found.requirements[0].text, "numpy==1.26.4");
  EXPECT_EQ(found.requirements[0].hashes.size(), 2U);
  EXPECT_EQ(found.requirements[0].hashes[0], hash_);
  EXPECT_THAT(refusal("numpy --hash=md5:aa\n"), HasSubstr("is not `--hash=sha256:` and 64 hexadecimal digits"));
  EXPECT_THAT(refusal("numpy --hash=sha256:" + std::string(63, 'a') + "\n"), HasSubstr("requirements.txt:1:1: "));
  EXPECT_THAT(refusal("numpy --config-settings=x\n"), HasSubstr("is not read behind a requirement"));
}

TEST_F(RequirementsTest, FilesAreTakenInInTheirPlace) {
  fs::create_directories(dir_.path() / "sub");
  os::write_file(dir_.path() / "sub/more.txt", "b\n-r again.txt\n");
  os::write_file(dir_.path() / "sub/again.txt", "c\n");
  EXPECT_THAT(texts(read("a\n-r sub/more.txt\nd\n--requirement=sub/again.txt\n")),
              testing::ElementsAre("requirements.txt:1:1 a", "sub/more.txt:1:1 b", "sub/again.txt:1:1 c",
                                   "requirements.txt:3:1 d", "sub/again.txt:1:1 c"));
  EXPECT_THAT(refusal("a\n  -r requirements.txt\n"),
              HasSubstr("requirements.txt:2:3: `requirements.txt` takes itself in"));
  EXPECT_THAT(refusal("-r none.txt\n"), HasSubstr("requirements.txt:1:1: there is no file `none.txt`"));
  EXPECT_THAT(refusal("-r\n"), HasSubstr("expected the path of a requirements file"));
  EXPECT_THAT(refusal("-r sub\n"), HasSubstr("there is no file `sub`"));
  for (int i = 0; i < 20; ++i) {
    os::write_file(dir_.path() / ("n" + std::to_string(i)), "-r n" + std::to_string(i + 1) + "\n");
  }
  EXPECT_THAT(refusal("-r n0\n"), HasSubstr("take each other in more than 16 deep"));
}

TEST_F(RequirementsTest, WhatCannotBeLockedIsRefusedWithAWayOut) {
  const std::pair<const char*, const char*> cases[] = {
      {"-e .", "an editable install cannot be locked"},
      {"-c constraints.txt", "constraint files are not read"},
      {"--index-url https://index.test/", "where packages come from is this host's matter"},
      {"-i https://index.test/", "where packages come from"},
      {"--pre", "the option `--pre` is not read"},
      {"x @ https://host.test/x.whl", "a requirement by URL cannot be locked by version"},
      {"https://host.test/x.whl", "a requirement by URL"},
      {"git+https://host.test/x.git", "a requirement by URL"},
      {"git+https://host.test/x.git@main", "a requirement by URL"},
      {"./x", "a requirement by path"},
      {"x-1-py3-none-any.whl", "a requirement by path"},
      {"numpy=1.2", "did you mean `numpy==1.2`?"},
      {"numpy 1.2", "did you mean `numpy==1.2`?"},
      {"numpy pandas", "write one requirement a line"},
      {"numpy==", "expected a version behind `==`"},
      {"numpy>=1.*", "`*` is only read at the end of a version"},
      {"numpy[a", "expected `,` or `]` in the list of extras"},
      {"numpy(>1", "expected `)`"},
      {"-", "the option `-` is not read"},
      {"==1", "expected a package name"},
      {"x; python_versio < '3'", "did you mean `python_version`?"},
      {"x; os_name == 'a", "a quote that is not closed"},
      {"x; os_name 'a'", "expected a comparison in the marker"},
      {"x; (os_name == 'a'", "expected `)`"},
      {"x; os_name == 'a' xor", "unexpected `xor`"},
  };
  for (const auto& [line, message] : cases) {
    EXPECT_THAT(refusal(std::string("\n") + line + "\n"),
                testing::AllOf(testing::StartsWith("requirements.txt:2:"), HasSubstr(message)))
        << line;
  }
}

TEST_F(RequirementsTest, PyprojectGivesRequirementsAndPython) {
  const auto found =
      read("[project]\nname = 'x'\nrequires-python = '>=3.9,<3.12'\ndependencies = [\n  'numpy<2',\n  \"pandas\",\n]\n",
           "pyproject.toml");
  EXPECT_THAT(texts(found), testing::ElementsAre("pyproject.toml:5:4 numpy<2", "pyproject.toml:6:4 pandas"));
  EXPECT_EQ(found.requires_python, ">=3.9,<3.12");
  EXPECT_EQ(found.requires_python_place.line, 3);
  const std::string file = "pyproject.toml";
  EXPECT_THAT(refusal("[project\n", file), HasSubstr("pyproject.toml:1:"));
  EXPECT_THAT(refusal("[project]\nname = 'a\xff'\n", file), HasSubstr("pyproject.toml:2:10: a byte that no text has"));
  EXPECT_THAT(refusal("[\vproject]\n", file), HasSubstr("pyproject.toml:1:2: a byte that no text has"));
  EXPECT_THAT(refusal("[tool.x]\n", file), HasSubstr("there is no [project] table"));
  EXPECT_THAT(refusal("[project]\ndynamic = ['dependencies']\n", file), HasSubstr("the dependencies are dynamic"));
  EXPECT_THAT(refusal("[project]\ndependencies = 'a'\n", file), HasSubstr("wants a list of requirements"));
  EXPECT_THAT(refusal("[project]\ndependencies = [1]\n", file), HasSubstr("pyproject.toml:2:17: "));
  EXPECT_THAT(refusal("[project]\ndependencies = ['numpy=1']\n", file),
              HasSubstr("pyproject.toml:2:23: expected `==`"));
  EXPECT_THAT(refusal("[project]\nrequires-python = 3\n", file), HasSubstr("`project.requires-python` wants a text"));
}

TEST(Version, SatisfiesSpecifiers) {
  EXPECT_TRUE(version_satisfies("3.9", ">=3.9,<3.12"));
  EXPECT_TRUE(version_satisfies("3.11", "~=3.9"));
  EXPECT_TRUE(version_satisfies("3.9", "==3.9.*"));
  EXPECT_TRUE(version_satisfies("3.9", ">=3.9.1")) << "the patch level is not known here";
  EXPECT_TRUE(version_satisfies("3.9", "!=3.9.0"));
  EXPECT_TRUE(version_satisfies("3.9", ""));
  EXPECT_FALSE(version_satisfies("3.9", ">=3.10"));
  EXPECT_FALSE(version_satisfies("3.13", "<3.12"));
  EXPECT_FALSE(version_satisfies("3.9", "!=3.9.*"));
  EXPECT_FALSE(version_satisfies("3.9", "~=3.10"));
  EXPECT_FALSE(version_satisfies("3.11", ">=3.9, !=3.11.*, <4"));
}

}  // namespace
}  // namespace slip::spec
