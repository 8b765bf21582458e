#include "serving/http/http.h"

#include <gtest/gtest.h>

namespace slip::serving {
namespace {

HttpParser::Step feed(HttpParser& parser, std::string bytes) { return parser.feed(bytes); }

TEST(HttpParserTest, AmbiguousFramingIsRefused) {
  for (const char* bytes :
       {"POST / HTTP/1.1\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\n",
        "POST / HTTP/1.1\r\nContent-Length: -3\r\n\r\n", "POST / HTTP/1.1\r\nContent-Length: +3\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: gzip\r\n\r\n", "POST / HTTP/1.1\r\nX : y\r\n\r\n",
        "POST / HTTP/1.1\r\nX: y\r\n z\r\n\r\n", "POST /a b HTTP/1.1\r\n\r\n", "POST /\r\n\r\n",
        "PO ST / HTTP/1.1\r\n\r\n", "GET / HTTP/2.0\r\n\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabc"}) {
    HttpParser parser(HttpLimits{});
    EXPECT_EQ(feed(parser, bytes), HttpParser::Step::Malformed) << bytes;
  }
}

TEST(HttpParserTest, LimitsHaveTheirStatus) {
  HttpParser large(HttpLimits{1000, 10, 100});
  EXPECT_EQ(feed(large, "POST / HTTP/1.1\r\nContent-Length: 101\r\n\r\n"), HttpParser::Step::Malformed);
  EXPECT_EQ(large.error_status(), 413);
  HttpParser chunks(HttpLimits{1000, 10, 100});
  EXPECT_EQ(feed(chunks, "POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffffffff\r\n"),
            HttpParser::Step::Malformed);
  EXPECT_EQ(chunks.error_status(), 413);
  HttpParser head(HttpLimits{1000, 10, 100});
  EXPECT_EQ(feed(head, "GET /" + std::string(2000, 'a')), HttpParser::Step::Malformed);
  EXPECT_EQ(head.error_status(), 431);
}

TEST(HttpParserTest, PipelinedRequestsComeOneByOne) {
  HttpParser parser(HttpLimits{});
  std::string input = "POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiGET /b HTTP/1.0\r\n\r\n";
  ASSERT_EQ(parser.feed(input), HttpParser::Step::Complete);
  EXPECT_EQ(parser.request().body, "hi");
  parser.reset();
  ASSERT_EQ(parser.feed(input), HttpParser::Step::Complete);
  EXPECT_EQ(parser.request().target, "/b");
  EXPECT_FALSE(parser.request().keep_alive);
  EXPECT_EQ(input, "");
}

}  // namespace
}  // namespace slip::serving
