#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "http/engine.h"
#include "http/http_fixture.h"
#include "os/process.h"

namespace slip::http {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

TEST_F(HttpTest, GetsAnAnswerWithItsFields) {
  server_.on("/a", answer(200, "hello", {{"ETag", "\"x\""}}));
  const Response response = client().get(server_.url("/a"), {{"Accept", "text/x"}});
  EXPECT_EQ(200, response.status);
  EXPECT_EQ("hello", response.body);
  EXPECT_EQ("\"x\"", response.headers.at("etag"));
  EXPECT_EQ("text/x", server_.requests().at(0).headers.at("accept"));
  EXPECT_EQ("slipway", server_.requests().at(0).headers.at("user-agent"));
}

TEST_F(HttpTest, ReturnsEveryStatusThatIsNotWorthATry) {
  for (const int status : {401, 403, 404, 501}) {
    const std::string path = "/" + std::to_string(status);
    server_.on(path, answer(status, "no"));
    EXPECT_EQ(status, client().get(server_.url(path)).status);
    EXPECT_EQ(1u, server_.count(path));
  }
}

TEST_F(HttpTest, TriesAgainWithGrowingPausesAndGivesTheLastAnswer) {
  server_.on("/a", answer(503));
  EXPECT_EQ(503, client().get(server_.url("/a")).status);
  EXPECT_EQ(4u, server_.count("/a"));
  ASSERT_EQ(3u, pauses_.size());
  for (std::size_t i = 0; i < 3; ++i) {
    EXPECT_GE(pauses_[i], Millis{50 << i});
    EXPECT_LE(pauses_[i], Millis{100 << i});
  }
}

TEST_F(HttpTest, HonoursRetryAfter) {
  server_.on("/a", answer(429, "", {{"Retry-After", "7"}}));
  server_.on("/a", answer(200, "yes"));
  EXPECT_EQ("yes", client().get(server_.url("/a")).body);
  EXPECT_THAT(pauses_, ElementsAre(Millis{7000}));
}

TEST_F(HttpTest, DoesNotWaitForHours) {
  server_.on("/a", answer(503, "", {{"Retry-After", "7200"}}));
  EXPECT_EQ(503, client().get(server_.url("/a")).status);
  EXPECT_EQ(1u, server_.count("/a"));
}

TEST_F(HttpTest, RefusesLargeBodiesAnnouncedOrNot) {
  server_.on("/told", answer(200, noise(3000)));
  Answer untold = answer(200, noise(3000));
  untold.chunked = true;
  server_.on("/untold", untold);
  for (const char* path : {"/told", "/untold"}) {
    const Error error = error_of([&] { client().get(server_.url(path), {}, 2000); });
    EXPECT_EQ(ErrorKind::Invalid, error.kind());
    EXPECT_THAT(error.joined(), HasSubstr("larger than 2.0 kB"));
    EXPECT_EQ(1u, server_.count(path));
  }
}

TEST_F(HttpTest, RefusesLineBreaksInRequestFields) {
  EXPECT_EQ(ErrorKind::Invalid, error_of([&] { client().get(server_.url("/a"), {{"X", "1\r\nY: 2"}}); }).kind());
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(HttpTest, GetsManyAtOnceWithinTheLimitAndInOrder) {
  options_.parallel = 3;
  std::vector<std::string> urls;
  for (int i = 0; i < 9; ++i) {
    const std::string path = "/" + std::to_string(i);
    Answer a = answer(200, std::to_string(i));
    a.delay = Millis{100};
    server_.on(path, a);
    urls.push_back(server_.url(path));
  }
  const auto responses = client().get_all(urls);
  ASSERT_EQ(9u, responses.size());
  for (std::size_t i = 0; i < 9; ++i) {
    EXPECT_EQ(std::to_string(i), responses[i].body);
  }
  EXPECT_EQ(3u, server_.most_at_once());
}

TEST_F(HttpTest, FollowsRedirectsButNotForever) {
  server_.on("/a", answer(302, "", {{"Location", "/b"}}));
  server_.on("/b", answer(200, "there"));
  server_.on("/loop", answer(302, "", {{"Location", "/loop"}}));
  const Response response = client().get(server_.url("/a"));
  EXPECT_EQ("there", response.body);
  EXPECT_EQ(server_.url("/b"), response.url);
  EXPECT_EQ(0u, response.headers.count("location"));
  EXPECT_THAT(error_of([&] { client().get(server_.url("/loop")); }).joined(), HasSubstr("more than 10 redirects"));
  EXPECT_EQ(11u, server_.count("/loop"));
}

TEST_F(HttpTest, FollowsNoRedirectToAnotherProtocol) {
  server_.on("/a", answer(302, "", {{"Location", "file:///etc/passwd"}}));
  EXPECT_THAT(error_of([&] { client().get(server_.url("/a")); }).joined(), HasSubstr("not followed"));
}

TEST_F(HttpTest, DoesNotReadNetrc) {
  os::write_file(dir_.path() / ".netrc", "machine 127.0.0.1 login me password secret\n", 0600);
  const char* home = std::getenv("HOME");
  const std::string before = home != nullptr ? home : "";
  ::setenv("HOME", dir_.path().c_str(), 1);
  server_.on("/a", answer(200));
  client().get(server_.url("/a"));
  ::setenv("HOME", before.c_str(), 1);
  EXPECT_EQ(0u, server_.requests().at(0).headers.count("authorization"));
}

TEST_F(HttpTest, SendsCredentialsOfTheUrlAndShowsNone) {
  server_.on("/a", answer(200));
  server_.on("/loop", answer(302, "", {{"Location", "/loop?token=t0ken"}}));
  server_.on("/loop?token=t0ken", answer(302, "", {{"Location", "/loop?token=t0ken"}}));
  const auto with_user = [&](const std::string& path) {
    return "http://me:pw@127.0.0.1:" + std::to_string(server_.port()) + path;
  };
  client().get(with_user("/a"));
  EXPECT_EQ("Basic bWU6cHc=", server_.requests().at(0).headers.at("authorization"));
  const std::string text = error_of([&] { client().get(with_user("/loop")); }).joined();
  EXPECT_THAT(text, HasSubstr("http://***@127.0.0.1"));
  EXPECT_THAT(text, Not(HasSubstr("pw")));
  EXPECT_THAT(text, Not(HasSubstr("t0ken")));
}

TEST_F(HttpTest, SaysThatNobodyListens) {
  std::string url;
  {
    const FaultServer gone;
    url = gone.url("/a");
  }
  const Error error = error_of([&] { client().get(url); });
  EXPECT_EQ(ErrorKind::Unavailable, error.kind());
  EXPECT_THAT(error.joined(), HasSubstr("connection refused by `127.0.0.1:"));
  EXPECT_EQ(3u, pauses_.size());
}

TEST_F(HttpTest, SaysThatANameDoesNotResolve) {
  options_.attempts = 1;
  const Error error = error_of([&] { client().get("http://no-such-host.invalid/x"); });
  EXPECT_THAT(error.joined(), HasSubstr("`no-such-host.invalid` does not resolve"));
  EXPECT_THAT(error.hints(), Contains(HasSubstr("DNS")));
}

TEST_F(HttpTest, NamesTheProxyThatRefuses) {
  server_.on("mirror.example:443", answer(403));
  options_.https_proxy = "http://user:secret@127.0.0.1:" + std::to_string(server_.port());
  options_.no_proxy = "unrelated.example";
  if (!configured_proxy(options_, "https://mirror.example/x").empty()) {
    const Error error = error_of([&] { client().get("https://mirror.example/x"); });
    EXPECT_THAT(error.joined(), HasSubstr("the proxy lets nothing through"));
    EXPECT_THAT(error.hints(), Contains(HasSubstr("http://***@127.0.0.1")));
  } else {
    GTEST_SKIP() << "the environment names a proxy";
  }
}

TEST_F(HttpTest, StalledAnswersAreBroken) {
  options_.attempts = 1;
  Answer a = answer(200, noise(100));
  a.stall_after = 4;
  server_.on("/a", a);
  const Error error = error_of([&] { client().get(server_.url("/a")); });
  EXPECT_THAT(error.joined(), HasSubstr("stalled: no data for 1s, got 4 of 100 bytes"));
}

/// tests/support/mirror.py under TLS with a certificate of its own; ends with the object.
class TlsMirror {
 public:
  /// @throws Error when openssl or python3 is missing
  explicit TlsMirror(const std::filesystem::path& dir) : port_file_(dir / "port") {
    os::Command make;
    make.argv = {"openssl",  "req",      "-x509",   "-newkey",
                 "rsa:2048", "-nodes",   "-days",   "2",
                 "-subj",    "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1",
                 "-out",     cert(dir),  "-keyout", (dir / "key.pem").string()};
    os::run_checked(make);
    const std::string script = std::string(SLIP_SOURCE_DIR) + "/tests/support/mirror.py";
    const std::string folder = dir.string();
    const std::string key = (dir / "key.pem").string();
    const std::string certificate = cert(dir);
    const std::string port = port_file_.string();
    const std::string faults = (dir / "faults").string();
    pid_ = ::fork();
    if (pid_ == 0) {
      ::execlp("python3", "python3", script.c_str(), folder.c_str(), "--tls", certificate.c_str(), key.c_str(),
               "--port-file", port.c_str(), "--faults", faults.c_str(), nullptr);
      ::_exit(127);
    }
  }
  TlsMirror(const TlsMirror&) = delete;
  TlsMirror& operator=(const TlsMirror&) = delete;
  ~TlsMirror() {
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  static std::string cert(const std::filesystem::path& dir) { return (dir / "cert.pem").string(); }
  /// "" when it does not come up.
  std::string port() const {
    for (int i = 0; i < 400; ++i) {
      if (const auto text = os::read_file_if_any(port_file_)) {
        return text->substr(0, text->find('\n'));
      }
      std::this_thread::sleep_for(Millis{25});
    }
    return {};
  }

 private:
  std::filesystem::path port_file_;
  pid_t pid_ = -1;
};

TEST_F(HttpTest, TrustsTheCasItIsTold) {
  std::optional<TlsMirror> mirror;
  try {
    mirror.emplace(dir_.path());
  } catch (const Error& e) {
    GTEST_SKIP() << e.joined();
  }
  os::write_file(dir_.path() / "a", "secret enough");
  const std::string port = mirror->port();
  ASSERT_NE("", port);
  const std::string url = "https://127.0.0.1:" + port + "/a";
  options_.ca_file = "/etc/ssl/certs/ca-certificates.crt";
  if (std::filesystem::exists(options_.ca_file)) {
    const Error error = error_of([&] { client().get(url); });
    EXPECT_THAT(error.joined(), HasSubstr("the certificate of `127.0.0.1:" + port + "` is not trusted"));
    EXPECT_THAT(error.hints(), Contains(HasSubstr("`http.ca_file`")));
    EXPECT_TRUE(pauses_.empty()) << "another try would not help";
  }
  options_.ca_file = "/nonexistent.pem";
  EXPECT_THAT(error_of([&] { client().get(url); }).joined(),
              HasSubstr("the CA file `/nonexistent.pem` cannot be used"));
  options_.ca_file = TlsMirror::cert(dir_.path());
  EXPECT_EQ("secret enough", client().get(url).body);
  const Error wrong_host = error_of([&] { client().get("https://localhost:" + port + "/a"); });
  EXPECT_THAT(wrong_host.hints(), Contains(HasSubstr("names another host")));
  server_.on("/down", answer(302, "", {{"Location", url}}));
  EXPECT_EQ("secret enough", client().get(server_.url("/down")).body) << "http to https is fine";
  os::write_file(dir_.path() / "faults", "{\"/a\": {\"redirect\": \"" + server_.url("/x") + "\"}}");
  EXPECT_THAT(error_of([&] { client().get(url); }).joined(), HasSubstr("not followed")) << "https to http is not";
  EXPECT_EQ(0u, server_.count("/x"));
}

TEST(Backoff, IsTheSameForTheSameSeedAndBounded) {
  Backoff a(Millis{500}, Millis{4000}, 3);
  Backoff b(Millis{500}, Millis{4000}, 3);
  for (unsigned failed = 1; failed < 100; ++failed) {
    const Millis pause = a.pause(failed, std::nullopt);
    EXPECT_EQ(pause, b.pause(failed, std::nullopt));
    EXPECT_LE(pause, Millis{4000});
    EXPECT_GE(pause, Millis{250});
  }
}

TEST(RetryAfter, IsSecondsOrADate) {
  EXPECT_EQ(Millis{3000}, parse_retry_after("3", 0));
  EXPECT_EQ(Millis{60'000}, parse_retry_after("Thu, 01 Jan 1970 00:02:00 GMT", 60));
  EXPECT_EQ(Millis{0}, parse_retry_after("Thu, 01 Jan 1970 00:02:00 GMT", 600));
  EXPECT_EQ(Millis{86'400'000}, parse_retry_after("99999999999", 0));
  EXPECT_EQ(std::nullopt, parse_retry_after("soon", 0));
  EXPECT_EQ(std::nullopt, parse_retry_after("", 0));
}

TEST(Redact, LeavesNoSecretInMessages) {
  EXPECT_EQ("https://mirror.example/a/b", redact("https://mirror.example/a/b"));
  EXPECT_EQ("https://***@mirror.example/a", redact("https://me:secret@mirror.example/a"));
  EXPECT_EQ("https://***@mirror.example/a", redact("https://me:s/e@cret@mirror.example/a"));
  EXPECT_EQ("https://***@mirror.example", redact("https://token@mirror.example"));
  EXPECT_EQ("https://mirror.example/a?***", redact("https://mirror.example/a?sig=secret#x"));
  EXPECT_EQ("https://mirror.example:80/@scope/x", redact("https://mirror.example:80/@scope/x"));
}

}  // namespace
}  // namespace slip::http
