#include "http/url.h"

#include <gtest/gtest.h>

namespace slip::http {
namespace {

TEST(Url, LocationsOfEveryKind) {
  const char* base = "https://r.example:5000/v2/app/blobs/uploads/?from=x";
  EXPECT_EQ("https://s.example/a?b", resolve_url(base, "https://s.example/a?b"));
  EXPECT_EQ("https://r.example:5000/v2/up/7?state=a%2Fb", resolve_url(base, "/v2/up/7?state=a%2Fb"));
  EXPECT_EQ("https://s.example/a", resolve_url(base, "//s.example/a"));
  EXPECT_EQ("https://r.example:5000/v2/app/blobs/uploads/7", resolve_url(base, "7"));
  EXPECT_EQ("https://r.example:5000/v2/app/blobs/uploads/?x=1", resolve_url(base, "?x=1"));
  EXPECT_EQ("https://r.example/7", resolve_url("https://r.example", "7"));
  EXPECT_EQ("https://r.example/a?to=http://s.example", resolve_url("https://r.example/", "/a?to=http://s.example"));
}

TEST(Url, OriginsHaveTheirPort) {
  EXPECT_EQ("https://r.example:443", origin_of("https://R.example/v2/"));
  EXPECT_EQ("http://r.example:80", origin_of("http://user:word@r.example"));
  EXPECT_NE(origin_of("http://r.example"), origin_of("https://r.example"));
  EXPECT_NE(origin_of("https://r.example:5000"), origin_of("https://r.example"));
}

TEST(Url, Encoded) { EXPECT_EQ("robot%24a%2Bb-c.d_e~%3A%2F", url_encoded("robot$a+b-c.d_e~:/")); }

}  // namespace
}  // namespace slip::http
