#include "wheel/index.h"

#include "core/error.h"
#include "wheel/explain.h"
#include "wheel/index_fixture.h"
#include "wheel/wheel.h"

namespace slip::wheel {
namespace {

constexpr const char* kHash = "4ffe5c36e45552d98ff1b0a7edfa7592626e307515affbb11924bf48da40989a";

std::string html_page() {
  return std::string("<!DOCTYPE html><html><body>\n<a href=\"../../packages/x-1.0-py3-none-any.whl#sha256=") + kHash +
         "\" data-requires-python=\"&gt;=3.7\">x-1.0-py3-none-any.whl</a><br/>\n"
         "<a href='https://files.example/x-1.1.tar.gz' data-yanked=\"broken\">x-1.1.tar.gz</a>\n</body></html>";
}

std::string json_page() {
  return std::string(
             R"({"meta":{"api-version":"1.1"},"name":"x","files":[{"filename":"x-1.0-py3-none-any.whl","url":"https://files.example/x-1.0-py3-none-any.whl",)") +
         R"("hashes":{"sha256":")" + kHash +
         R"("},"requires-python":">=3.7","size":12,"upload-time":"2022-05-16T20:30:48.1Z","yanked":false}]})";
}

TEST(IndexPage, HtmlIsRead) {
  const auto files = parse_index_page(html_page(), false, "https://mirror.example/simple/x/");
  ASSERT_EQ(files.size(), 2U);
  EXPECT_EQ(files[0].file, "x-1.0-py3-none-any.whl");
  EXPECT_EQ(files[0].url, "https://mirror.example/packages/x-1.0-py3-none-any.whl");
  EXPECT_EQ(files[0].sha256, Digest::from(kHash));
  EXPECT_EQ(files[0].requires_python, ">=3.7");
  EXPECT_FALSE(files[0].yanked);
  EXPECT_TRUE(files[1].yanked);
  EXPECT_FALSE(files[1].sha256);
}

TEST(IndexPage, JsonIsRead) {
  const auto files = parse_index_page(json_page(), true, "https://mirror.example/simple/x/");
  ASSERT_EQ(files.size(), 1U);
  EXPECT_EQ(files[0].size, 12U);
  EXPECT_EQ(files[0].sha256, Digest::from(kHash));
  EXPECT_EQ(files[0].upload_time, "2022-05-16T20:30:48.1Z");
}

TEST(IndexPage, WhatIsNoPageIsRefused) {
  EXPECT_THROW(parse_index_page("{}", true, "https://mirror.example/simple/x/"), Error);
  EXPECT_THROW(parse_index_page("<html>", true, "https://mirror.example/simple/x/"), Error);
  EXPECT_TRUE(parse_index_page("<a href=\"unfinished", false, "https://mirror.example/").empty());
}

TEST(IndexPage, NamesThatLeadElsewhereAreLeftOut) {
  EXPECT_TRUE(
      parse_index_page("<a href=\"x-1.tar.gz\">../../x-1.tar.gz</a><a href=\"y\"></a><a href=\"z\">z\x1b-1.zip</a>",
                       false, "https://mirror.example/simple/x/")
          .empty());
  EXPECT_TRUE(parse_index_page("{\"files\":[{\"filename\":\"/etc/x-1.tar.gz\",\"url\":\"x\"}]}", true,
                               "https://mirror.example/simple/x/")
                  .empty());
}

TEST(IndexPage, LinksBecomeAbsolute) {
  EXPECT_EQ(absolute_url("https://a.example/s/x/", "y.whl"), "https://a.example/s/x/y.whl");
  EXPECT_EQ(absolute_url("https://a.example/s/x/", "../../p/y.whl"), "https://a.example/p/y.whl");
  EXPECT_EQ(absolute_url("https://a.example/s/x/", "/p/y.whl"), "https://a.example/p/y.whl");
  EXPECT_EQ(absolute_url("https://a.example/s/x/", "//b.example/y.whl"), "https://b.example/y.whl");
  EXPECT_EQ(absolute_url("https://a.example/s/x/", "http://c.example/y"), "http://c.example/y");
}

using Index = IndexTest;

TEST_F(Index, AFileIsFoundByItsDigest) {
  serve("text/html", html_page());
  const File file{.name = "x",
                  .version = "1.0",
                  .file = "x-1.0-py3-none-any.whl",
                  .size = 0,
                  .sha256 = Digest::from(kHash),
                  .sdist = false,
                  .url = {},
                  .why = {}};
  EXPECT_EQ(locate({&file, 1}, "pypi", config_, client_, store_).at(file.sha256),
            server_.url("/packages/x-1.0-py3-none-any.whl"));
}

TEST_F(Index, AFileThatIsNotThereIsNamed) {
  serve("application/vnd.pypi.simple.v1+json", json_page());
  File file{.name = "x",
            .version = "1.0",
            .file = "x-1.0-py3-none-any.whl",
            .size = 0,
            .sha256 = Digest::from(std::string(64, 'a')),
            .sdist = false,
            .url = {},
            .why = {}};
  try {
    locate({&file, 1}, "pypi", config_, client_, store_);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.kind(), ErrorKind::NotFound);
    EXPECT_NE(e.joined().find("x-1.0-py3-none-any.whl"), std::string::npos) << e.joined();
  }
}

TEST_F(Index, AnUnknownProjectHasNoPage) {
  const auto pages = fetch_index({"nothing"}, "pypi", config_, client_);
  EXPECT_FALSE(pages.contains("nothing"));
}

std::vector<IndexFile> offered(std::initializer_list<const char*> names) {
  std::vector<IndexFile> files;
  for (const char* name : names) {
    IndexFile file;
    file.file = name;
    files.push_back(file);
  }
  return files;
}

TEST(Pythons, AreReadOffTheWheelsOfAVersion) {
  EXPECT_EQ(pythons_of(offered({"t-2.9.0-cp310-cp310-manylinux1_x86_64.whl", "t-2.9.0-cp39-cp39-manylinux1_x86_64.whl",
                                "t-2.8-cp36-cp36m-manylinux1_x86_64.whl"}),
                       "2.9.0"),
            "3.9, 3.10");
}

TEST(Pythons, AreUnknownWhereAnyMayDo) {
  EXPECT_EQ(pythons_of(offered({"t-1-cp39-cp39-manylinux1_x86_64.whl", "t-1.tar.gz"}), "1"), "");
  EXPECT_EQ(pythons_of(offered({"t-1-py3-none-any.whl"}), "1"), "");
  EXPECT_EQ(pythons_of(offered({"t-1-cp37-abi3-manylinux1_x86_64.whl"}), "1"), "");
}

TEST(NearestVersion, IsTheNextAboveThatRunsElseTheHighestBelow) {
  const auto files =
      offered({"t-2.9.0-cp39-cp39-manylinux_2_17_x86_64.whl", "t-2.12.0rc1-cp311-cp311-manylinux_2_17_x86_64.whl",
               "t-2.13.0-cp311-cp311-manylinux_2_17_x86_64.whl", "t-2.12.0-cp311-cp311-manylinux_2_17_x86_64.whl",
               "t-2.11.0-cp311-cp311-win_amd64.whl", "t-1.0-cp311-cp311-manylinux_2_17_x86_64.whl"});
  EXPECT_EQ(nearest_version(files, "2.9.0", tag_target("3.11", "2.36")), "2.12.0");
  EXPECT_EQ(nearest_version(files, "3", tag_target("3.11", "2.36")), "2.13.0");
  EXPECT_EQ(nearest_version(files, "2.9.0", tag_target("3.13", "2.41")), "");
}

}  // namespace
}  // namespace slip::wheel
