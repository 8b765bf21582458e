#include "oci/reference.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::oci {
namespace {

const std::string kHex(64, 'a');

TEST(Reference, SplitsNamesTagsAndDigests) {
  const auto digest = Digest::from("sha256:" + kHex);
  const std::vector<std::pair<std::string, Reference>> cases = {
      {"tf29-dev", {"", "tf29-dev", "latest", {}}},
      {"tf29-dev:1.0", {"", "tf29-dev", "1.0", {}}},
      {"team/tf29-dev", {"", "team/tf29-dev", "latest", {}}},
      {"localhost/x", {"localhost", "x", "latest", {}}},
      {"localhost:5000/x", {"localhost:5000", "x", "latest", {}}},
      {"localhost:5000", {"", "localhost", "5000", {}}},
      {"127.0.0.1:5000/a/b:T_.-1", {"127.0.0.1:5000", "a/b", "T_.-1", {}}},
      {"[::1]:5000/x", {"[::1]:5000", "x", "latest", {}}},
      {"mirror.example/a__b/c-d---e.f:v1", {"mirror.example", "a__b/c-d---e.f", "v1", {}}},
      {"HOST/x", {"HOST", "x", "latest", {}}},
      {"a@sha256:" + kHex, {"", "a", "", digest}},
      {"mirror.example:443/a:b@sha256:" + kHex, {"mirror.example:443", "a", "b", digest}},
  };
  for (const auto& [text, wanted] : cases) {
    const Reference got = Reference::parse(text);
    EXPECT_EQ(got, wanted) << text << " gave " << got.text();
    EXPECT_EQ(Reference::parse(got.text()), got) << text;
  }
}

TEST(Reference, RefusesWhatRegistriesRefuse) {
  for (const std::string& text : std::vector<std::string>{"",
                                                          ":tag",
                                                          "a:",
                                                          "a:-x",
                                                          "a:" + std::string(129, 't'),
                                                          "A",
                                                          "a//b",
                                                          "/a",
                                                          "a/",
                                                          "a..b",
                                                          "a___b",
                                                          "_a",
                                                          "a-",
                                                          "a@sha256:12",
                                                          "a@" + kHex,
                                                          "a@sha256:" + std::string(64, 'A'),
                                                          "mirror.example:port/x",
                                                          "-mirror.example/x",
                                                          "mirror..example/x",
                                                          "[::1/x",
                                                          "localhost:123456/x",
                                                          std::string(256, 'a'),
                                                          "a b",
                                                          "a\n",
                                                          "a:b@",
                                                          "ä",
                                                          std::string("a\0b", 3),
                                                          "a/b:c/d",
                                                          "https://x/y"}) {
    EXPECT_THROW((void)Reference::parse(text), Error) << text;
  }
  EXPECT_EQ(Reference::parse(std::string(255, 'a')).repository.size(), 255u);
  EXPECT_EQ(Reference::parse("a:" + std::string(128, 't')).tag.size(), 128u);
}

}  // namespace
}  // namespace slip::oci
