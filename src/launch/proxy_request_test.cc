#include "launch/proxy_request.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::launch {
namespace {

TEST(ProxyRequest, Connect) {
  const auto r = parse_proxy_request("CONNECT example.org:443 HTTP/1.1\r\nHost: example.org:443\r\n\r\nhello");
  ASSERT_TRUE(r);
  EXPECT_TRUE(r->connect);
  EXPECT_EQ(r->host, "example.org");
  EXPECT_EQ(r->port, "443");
  EXPECT_EQ(r->for_server(), "hello");
  const auto six = parse_proxy_request("CONNECT [2001:db8::1]:8443 HTTP/1.1\r\n\r\n");
  ASSERT_TRUE(six);
  EXPECT_EQ(six->host, "2001:db8::1");
}

TEST(ProxyRequest, OriginFormForTheServer) {
  const auto r = parse_proxy_request(
      "GET http://example.org/a?b=c HTTP/1.1\r\nHost: example.org\r\nProxy-Connection: keep-alive\r\nConnection: "
      "keep-alive\r\nAccept: */*\r\n\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->port, "80");
  EXPECT_EQ(r->for_server(),
            "GET /a?b=c HTTP/1.1\r\nHost: example.org\r\nAccept: */*\r\nConnection: close\r\n\r\n");
}

TEST(ProxyRequest, AnotherProxyGetsItAsItWasWithCredentials) {
  const auto r = parse_proxy_request("CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n");
  ASSERT_TRUE(r);
  EXPECT_EQ(r->for_proxy(""), r->text);
  const ProxyAddress proxy = parse_proxy_address("http://me:p%40ss@proxy.example:3128/");
  EXPECT_EQ(proxy.host, "proxy.example");
  EXPECT_EQ(proxy.port, "3128");
  EXPECT_EQ(proxy.authorization, "Basic bWU6cEBzcw==");
  EXPECT_EQ(r->for_proxy(proxy.authorization),
            "CONNECT a:1 HTTP/1.1\r\nProxy-Authorization: Basic bWU6cEBzcw==\r\nHost: a:1\r\n\r\n");
}

TEST(ProxyRequest, RefusesWhatIsNoProxyRequest) {
  for (const char* wrong : {"", "GET / HTTP/1.1\r\n\r\n", "CONNECT a HTTP/1.1\r\n\r\n", "CONNECT a:b HTTP/1.1\r\n\r\n",
                            "CONNECT a:1 HTTP/2\r\n\r\n", "GET https://a/ HTTP/1.1\r\n\r\n", "CONNECT a:1 HTTP/1.1\r\n",
                            "CONNECT a b:1 HTTP/1.1\r\n\r\n", "CONNECT [::1:1 HTTP/1.1\r\n\r\n", "GET http:// HTTP/1.1\r\n\r\n"}) {
    EXPECT_FALSE(parse_proxy_request(wrong)) << wrong;
  }
  EXPECT_THROW(parse_proxy_address("socks5://a"), Error);
}

TEST(ProxyRequest, SomeHostsAreReachedWithoutTheProxy) {
  const Outbound o{"http://p:1", {".corp.example", "localhost"}, {}};
  EXPECT_FALSE(uses_proxy(o, "git.corp.example"));
  EXPECT_FALSE(uses_proxy(o, "LOCALHOST"));
  EXPECT_TRUE(uses_proxy(o, "notcorp.example"));
  EXPECT_FALSE(uses_proxy({}, "a"));
}

}  // namespace
}  // namespace slip::launch
