#include "registry/credentials.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "codec/base64.h"
#include "core/error.h"
#include "os/file.h"

namespace slip::registry {
namespace {

class Credentials : public ::testing::Test {
 protected:
  Credentials() : dir_(std::filesystem::temp_directory_path(), "slip-registry") {
    files_.docker = dir_.path() / "docker/config.json";
    files_.others = {dir_.path() / "auth.json"};
  }
  void write(const std::filesystem::path& file, const std::string& text) {
    os::make_dirs(file.parent_path());
    os::write_file(file, text);
  }
  static std::string auth(const std::string& text) { return "{\"auth\":\"" + codec::base64(text) + "\"}"; }

  os::TempDir dir_;
  CredentialFiles files_;
};

TEST_F(Credentials, NothingIsKnownWithoutFiles) { EXPECT_FALSE(find_credential(files_, "r.example")); }

TEST_F(Credentials, KeptAndForgottenAsDockerDoes) {
  write(files_.docker, R"({"auths":{"other.example":{"auth":"YTpi"}},"detachKeys":"ctrl-e"})");
  store_credential(files_, "r.example:5000", {"robot$team+ci", "p:w", false});
  struct stat st{};
  ASSERT_EQ(0, ::stat(files_.docker.c_str(), &st));
  EXPECT_EQ(0600u, st.st_mode & 0777u);
  const auto found = find_credential(files_, "r.example:5000");
  ASSERT_TRUE(found);
  EXPECT_EQ((Credential{"robot$team+ci", "p:w", false}), *found);
  EXPECT_NE(std::string::npos, os::read_file(files_.docker).find("detachKeys"));
  EXPECT_TRUE(erase_credential(files_, "r.example:5000"));
  EXPECT_FALSE(erase_credential(files_, "r.example:5000"));
  EXPECT_FALSE(find_credential(files_, "r.example:5000"));
  EXPECT_TRUE(find_credential(files_, "other.example"));
}

TEST_F(Credentials, KeysMayBeUrlsOrPartsOfRepositories) {
  write(files_.docker, "{\"auths\":{\"https://r.example/v2/\":" + auth("a:1") + "}}");
  write(files_.others[0], "{\"auths\":{\"s.example\":" + auth("b:2") + ",\"s.example/team\":" + auth("c:3") +
                              ",\"s.example/te\":" + auth("d:4") + "}}");
  EXPECT_EQ("a", find_credential(files_, "r.example")->username);
  EXPECT_EQ("b", find_credential(files_, "s.example", "other/app")->username);
  EXPECT_EQ("c", find_credential(files_, "s.example", "team/app")->username);
}

TEST_F(Credentials, IdentityTokens) {
  write(files_.docker, R"({"auths":{"r.example":{"auth":"MDA6","identitytoken":"refresh"}}})");
  EXPECT_EQ((Credential{"", "refresh", true}), *find_credential(files_, "r.example"));
}

TEST_F(Credentials, MalformedFilesAreErrors) {
  write(files_.docker, "{\"auths\":{\"r.example\":{\"auth\":\"%%%\"}}}");
  EXPECT_THROW(find_credential(files_, "r.example"), Error);
  write(files_.docker, "[]");
  EXPECT_THROW(find_credential(files_, "r.example"), Error);
}

}  // namespace
}  // namespace slip::registry
