#include "init/config.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <string>

namespace slip::init {
namespace {

const char* no_variable(const char*) { return nullptr; }
const char* some_variables(const char* name) { return std::string(name) == "BIND" ? "127.0.0.1" : nullptr; }

struct Parsed {
  std::unique_ptr<Config> config = std::make_unique<Config>();
  Failure failure;
  bool ok;

  explicit Parsed(const std::string& json, Getenv getenv = no_variable)
      : ok(parse_config({json.data(), json.size()}, getenv, *config, failure)) {}
};

TEST(InitConfig, DefaultsAndEverything) {
  const Parsed parsed(R"({"services": [
    {"name": "a", "argv": ["/bin/a", "-x"]},
    {"name": "b", "argv": ["b"], "env": {"K": "v=w"}, "cwd": "/tmp", "after": ["a"],
     "restart": {"policy": "on-failure", "max": 2, "window_ms": 3, "base_ms": 4, "cap_ms": 5},
     "stop": {"signal": "SIGINT", "grace_ms": 6}, "ready": {"tcp": "10.0.0.255:8888"}, "critical": false,
     "when_file": "/run/keys"}], "control": "/run/c"})");
  ASSERT_TRUE(parsed.ok) << parsed.failure.reason;
  ASSERT_EQ(parsed.config->count, 2u);
  const Service& a = parsed.config->services[0];
  EXPECT_STREQ(a.argv[1], "-x");
  EXPECT_EQ(a.argv[2], nullptr);
  EXPECT_EQ(a.restart.max, 5u);
  EXPECT_EQ(a.stop.signal, SIGTERM);
  EXPECT_TRUE(a.critical);
  const Service& b = parsed.config->services[1];
  EXPECT_STREQ(b.env[0], "K=v=w");
  EXPECT_EQ(b.after, 1u);
  EXPECT_EQ(b.restart.policy, Policy::OnFailure);
  EXPECT_EQ(b.restart.window_ms, 3u);
  EXPECT_EQ(b.stop.signal, SIGINT);
  EXPECT_EQ(b.ready.kind, Ready::Kind::Tcp);
  EXPECT_EQ(b.ready.address, 0x0a0000ffu);
  EXPECT_EQ(b.ready.port, 8888);
  EXPECT_FALSE(b.critical);
  EXPECT_STREQ(parsed.config->control, "/run/c");
}

TEST(InitConfig, VariablesAreReplaced) {
  const Parsed parsed(R"({"services": [{"name": "a", "argv": ["--ip=${BIND}:${PORT:-1}", "$x", "${BIND}${BIND}"],
                          "ready": {"tcp": "${BIND}:80"}}]})",
                      some_variables);
  ASSERT_TRUE(parsed.ok) << parsed.failure.reason;
  const Service& a = parsed.config->services[0];
  EXPECT_STREQ(a.argv[0], "--ip=127.0.0.1:1");
  EXPECT_STREQ(a.argv[1], "$x");
  EXPECT_STREQ(a.argv[2], "127.0.0.1127.0.0.1");
  EXPECT_EQ(a.ready.address, 0x7f000001u);
}

TEST(InitConfig, EscapesOfJson) {
  const Parsed parsed(R"({"services": [{"name": "a", "argv": ["\u00e4\ud83d\ude00\n\"\/"]}]})");
  ASSERT_TRUE(parsed.ok) << parsed.failure.reason;
  EXPECT_STREQ(parsed.config->services[0].argv[0], "\u00e4\U0001F600\n\"/");
}

TEST(InitConfig, RefusesWhatIsNoJson) {
  for (const char* text :
       {"{", "{\"services\":[}", "{\"services\":[],}", "{\"services\":[]} x", "{'services':[]}",
        R"({"services":[{"name":"a","argv":["\u0000"]}]})", R"({"services":[{"name":"a","argv":["\ud800"]}]})",
        "{\"services\":[{\"name\":\"a\",\"argv\":[\"\xff\"]}]}", "{\"services\":[{\"name\":\"a\",\"argv\":[\"\n\"]}]}",
        R"({"services":[{"name":"a","argv":["x"],"stop":{"grace_ms":01}}]})",
        R"({"services":[{"name":"a","argv":["x"],"stop":{"grace_ms":1e3}}]})",
        R"({"services":[{"name":"a","argv":["x"],"stop":{"grace_ms":99999999999999999999}}]})"}) {
    EXPECT_FALSE(Parsed(text).ok) << text;
  }
}

TEST(InitConfig, LimitsAreErrors) {
  std::string many = R"({"services":[)";
  for (unsigned i = 0; i <= kMaxServices; ++i) {
    many += (i > 0 ? "," : "") + std::string(R"({"argv":["x"],"name":"s)") + std::to_string(i) + "\"}";
  }
  const Parsed services(many + "]}");
  EXPECT_FALSE(services.ok);
  EXPECT_STREQ(services.failure.reason, "there may be 64 services");
  std::string words = R"({"services":[{"name":"a","argv":["x")";
  for (unsigned i = 0; i < kMaxArgs; ++i) {
    words += ",\"x\"";
  }
  EXPECT_FALSE(Parsed(words + "]}]}").ok);
}

TEST(InitConfig, SignalsHaveTheirNames) {
  EXPECT_EQ(signal_number("TERM"), SIGTERM);
  EXPECT_EQ(signal_number("SIGUSR2"), SIGUSR2);
  EXPECT_EQ(signal_number("nope"), 0);
  EXPECT_STREQ(signal_name(SIGHUP), "HUP");
}

TEST(InitText, Utf8AsRfc3629HasIt) {
  EXPECT_EQ(utf8_size("a"), 1u);
  EXPECT_EQ(utf8_size("\xc3\xa4"), 2u);
  EXPECT_EQ(utf8_size("\xe2\x82\xac"), 3u);
  EXPECT_EQ(utf8_size("\xf0\x9f\x98\x80"), 4u);
  for (const char* bad :
       {"\x80", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8\x88\x80\x80", "\xe2\x82"}) {
    EXPECT_EQ(utf8_size(bad), 0u) << bad;
  }
}

TEST(InitText, WriterStopsAtItsEnd) {
  char buffer[4];
  Writer out(buffer, sizeof buffer);
  out.text("abc").number(12);
  EXPECT_TRUE(out.full());
  EXPECT_TRUE(out.written() == "abc1");
}

}  // namespace
}  // namespace slip::init
