#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <fstream>
#include <thread>

#include "codec/sha256.h"
#include "http/client.h"
#include "http/engine.h"
#include "http/fault_server.h"
#include "http/part_file.h"
#include "http/retry.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::http {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

/// Remembers tasks and their last progress.
class Recorder final : public Events {
 public:
  void message(Level, std::string_view) noexcept override {}
  TaskId begin(std::string_view verb, std::string_view what, TaskId) noexcept override {
    lines.push_back(std::string(verb) + " " + std::string(what));
    return lines.size();
  }
  void progress(TaskId, std::uint64_t done, std::uint64_t total) noexcept override { last = {done, total}; }
  void end(TaskId, bool ok) noexcept override { lines.emplace_back(ok ? "ok" : "not ok"); }
  std::vector<std::string> lines;
  std::pair<std::uint64_t, std::uint64_t> last;
};

/// `size` bytes that are the same on every run and compress badly.
std::string noise(std::size_t size) {
  std::string bytes;
  std::uint32_t state = 12345;
  for (std::size_t i = 0; i < size; ++i) {
    state = state * 1664525 + 1013904223;
    bytes += static_cast<char>(state >> 24);
  }
  return bytes;
}

Answer answer(int status, std::string body = "", std::map<std::string, std::string> headers = {}) {
  Answer a;
  a.status = status;
  a.body = std::move(body);
  a.headers = std::move(headers);
  return a;
}

class HttpTest : public ::testing::Test {
 protected:
  HttpTest() : dir_(std::filesystem::temp_directory_path(), "slip-http") {
    options_.first_pause = Millis{100};
    options_.longest_pause = Millis{1000};
    options_.seed = 7;
    options_.stall_timeout_s = 1;
    options_.no_proxy = "127.0.0.1,localhost";
    options_.on_pause = [this](Millis pause) {
      pauses_.push_back(pause);
      return Millis{0};
    };
  }

  Client client() { return Client(options_, events_); }
  Download file(std::vector<std::string> urls, const std::string& body) {
    return {std::move(urls), dir_.path() / "file", body.size(), codec::sha256(body), "thing 1.0"};
  }
  void download(const Download& one) { client().download(std::span(&one, 1)); }
  std::string target() const { return os::read_file(dir_.path() / "file"); }
  std::filesystem::path part() const { return dir_.path() / "file.part"; }
  void write_part(const std::string& text) const { std::ofstream(part(), std::ios::binary) << text; }
  bool clean() const { return !std::filesystem::exists(part()); }

  /// The error that body() ends with.
  template <class Body>
  static Error error_of(Body&& body) {
    try {
      body();
    } catch (const Error& e) {
      return e;
    }
    ADD_FAILURE() << "no error";
    return Error(ErrorKind::Internal, "no error");
  }

  os::TempDir dir_;
  Options options_;
  Recorder events_;
  std::vector<Millis> pauses_;
  FaultServer server_;
};

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
  const auto with_user = [&](const std::string& path) { return "http://me:pw@127.0.0.1:" + std::to_string(server_.port()) + path; };
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

TEST_F(HttpTest, DownloadsAndReportsProgress) {
  const std::string body = noise(700'000);
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_TRUE(clean());
  EXPECT_THAT(events_.lines, ElementsAre("Downloading thing 1.0", "ok"));
  EXPECT_EQ(std::pair(std::uint64_t{700'000}, std::uint64_t{700'000}), events_.last);
}

TEST_F(HttpTest, DownloadsAnEmptyFile) {
  server_.on("/f", answer(200, ""));
  download(file({server_.url("/f")}, ""));
  EXPECT_EQ("", target());
}

TEST_F(HttpTest, GoesOnWhereABrokenConnectionStopped) {
  const std::string body = noise(10'000);
  Answer cut = answer(200, body);
  cut.cut_after = 4'000;
  server_.on("/f", cut);
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ("bytes=4000-", server_.requests().at(1).headers.at("range"));
}

TEST_F(HttpTest, GoesOnWhereAnEarlierRunStopped) {
  const std::string body = noise(10'000);
  write_part(body.substr(0, 6'000));
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ("bytes=6000-", server_.requests().at(0).headers.at("range"));
}

TEST_F(HttpTest, AsksNobodyWhenAnEarlierRunHadEverything) {
  const std::string body = noise(1'000);
  write_part(body);
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(HttpTest, StartsAgainWhenTheServerIgnoresRanges) {
  const std::string body = noise(10'000);
  write_part(body.substr(0, 6'000));
  Answer whole = answer(200, body);
  whole.ranges = false;
  server_.on("/f", whole);
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
}

TEST_F(HttpTest, StartsAgainWhenTheEarlierRunsBytesAreOthers) {
  const std::string body = noise(10'000);
  write_part(std::string(6'000, 'x'));
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ(2u, server_.count("/f"));
  EXPECT_EQ(0u, server_.requests().at(1).headers.count("range"));
}

TEST_F(HttpTest, TooLongAPartIsDropped) {
  const std::string body = noise(100);
  write_part(noise(200));
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
}

TEST_F(HttpTest, WithoutADigestAnEarlierRunsBytesAreNotTrusted) {
  write_part("old");
  server_.on("/f", answer(200, "new bytes"));
  download({{server_.url("/f")}, dir_.path() / "file", {}, {}, "index"});
  EXPECT_EQ("new bytes", target());
  EXPECT_EQ(0u, server_.requests().at(0).headers.count("range"));
}

TEST_F(HttpTest, WithoutADigestTheEtagDecidesWhetherToGoOn) {
  Answer first = answer(200, "old old old old", {{"ETag", "\"1\""}});
  first.cut_after = 8;
  server_.on("/f", first);
  server_.on("/f", answer(200, "new bytes", {{"ETag", "\"2\""}}));
  download({{server_.url("/f")}, dir_.path() / "file", {}, {}, "index"});
  EXPECT_EQ("new bytes", target());
  EXPECT_EQ("\"1\"", server_.requests().at(1).headers.at("if-range"));
}

TEST_F(HttpTest, ASecondMirrorHelpsAfterNotFound) {
  const std::string body = noise(100);
  server_.on("/2", answer(200, body));
  download(file({server_.url("/1"), server_.url("/2")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ(1u, server_.count("/1"));
}

TEST_F(HttpTest, ASecondMirrorHelpsAfterWrongBytes) {
  const std::string body = noise(100);
  server_.on("/1", answer(200, std::string(100, 'x')));
  server_.on("/2", answer(200, body));
  download(file({server_.url("/1"), server_.url("/2")}, body));
  EXPECT_EQ(body, target());
}

TEST_F(HttpTest, WrongBytesOfTwoMirrorsAreCorrupt) {
  const std::string body = noise(100);
  server_.on("/1", answer(200, std::string(100, 'x')));
  server_.on("/2", answer(200, std::string(100, 'y')));
  server_.on("/3", answer(200, body));
  const Error error = error_of([&] { download(file({server_.url("/1"), server_.url("/2"), server_.url("/3")}, body)); });
  EXPECT_EQ(ErrorKind::Corrupt, error.kind());
  EXPECT_THAT(error.joined(), HasSubstr("expected " + codec::sha256(body).text()));
  EXPECT_THAT(error.joined(), HasSubstr("actual   " + codec::sha256(std::string(100, 'y')).text()));
  EXPECT_EQ(0u, server_.count("/3"));
  EXPECT_TRUE(clean());
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "file"));
  EXPECT_THAT(events_.lines, ElementsAre("Downloading thing 1.0", "not ok"));
}

TEST_F(HttpTest, AWrongLengthIsSeenBeforeTheBody) {
  const std::string body = noise(100);
  server_.on("/f", answer(200, noise(101)));
  const Error error = error_of([&] { download(file({server_.url("/f")}, body)); });
  EXPECT_EQ(ErrorKind::Corrupt, error.kind());
  EXPECT_THAT(error.joined(), HasSubstr("the size differs: expected 100 bytes: actual   101 bytes"));
}

TEST_F(HttpTest, AnUnannouncedLongerBodyIsCorrupt) {
  Answer a = answer(200, noise(101));
  a.chunked = true;
  server_.on("/f", a);
  EXPECT_EQ(ErrorKind::Corrupt, error_of([&] { download(file({server_.url("/f")}, noise(100))); }).kind());
}

TEST_F(HttpTest, TruncatedAnswersSayHowMuchCame) {
  Answer a = answer(200, noise(100));
  a.cut_after = 30;
  a.ranges = false;
  server_.on("/f", a);
  const Error error = error_of([&] { download(file({server_.url("/f")}, noise(100))); });
  EXPECT_EQ(ErrorKind::Unavailable, error.kind());
  EXPECT_THAT(error.joined(), HasSubstr("got 30 of 100 bytes"));
  EXPECT_THAT(error.joined(), HasSubstr("download `thing 1.0`: `http://127.0.0.1"));
  EXPECT_EQ(4u, server_.count("/f"));
  EXPECT_FALSE(clean()) << "the next run goes on with what came";
}

TEST_F(HttpTest, AnAnswerThatEndsEarlyWithoutALengthIsTriedAgain) {
  Answer a = answer(200, noise(100).substr(0, 40));
  a.chunked = true;
  server_.on("/f", a);
  server_.on("/f", answer(200, noise(100)));
  download(file({server_.url("/f")}, noise(100)));
  EXPECT_EQ(noise(100), target());
}

TEST_F(HttpTest, EachStatusHasItsKindAndHint) {
  const std::vector<std::tuple<int, ErrorKind, std::string>> table = {
      {401, ErrorKind::Denied, "credentials"},      {403, ErrorKind::Denied, "refuses"},
      {404, ErrorKind::NotFound, "slipway lock"},   {410, ErrorKind::NotFound, "slipway lock"},
      {429, ErrorKind::Unavailable, "http.parallel"}, {500, ErrorKind::Unavailable, "another mirror"}};
  for (const auto& [status, kind, hint] : table) {
    const std::string path = "/" + std::to_string(status);
    server_.on(path, answer(status, "an error page that must not become the file"));
    const Error error = error_of([&] { download(file({server_.url(path)}, noise(10))); });
    EXPECT_EQ(kind, error.kind()) << status;
    EXPECT_THAT(error.joined(), HasSubstr("the server answered " + std::to_string(status)));
    EXPECT_THAT(error.hints(), Contains(HasSubstr(hint)));
    EXPECT_TRUE(clean());
  }
}

TEST_F(HttpTest, ManyFilesEndAtTheFirstThatCannotBeHad) {
  std::vector<Download> files;
  for (int i = 0; i < 20; ++i) {
    const std::string path = "/" + std::to_string(i);
    server_.on(path, answer(i == 5 ? 404 : 200, noise(2000)));
    files.push_back({{server_.url(path)}, dir_.path() / std::to_string(i), 2000, codec::sha256(noise(2000)), path});
  }
  const Error error = error_of([&] { client().download(files); });
  EXPECT_THAT(error.joined(), HasSubstr("download `/5`"));
  files.erase(files.begin() + 5);
  client().download(files);
  for (const Download& one : files) {
    EXPECT_EQ(noise(2000), os::read_file(one.target));
  }
}

TEST_F(HttpTest, TheSecondProcessTakesWhatTheFirstVerified) {
  const std::string body = noise(100);
  const Download one = file({server_.url("/f")}, body);
  auto held = PartFile::try_open(part(), true, 100);
  ASSERT_TRUE(held);
  EXPECT_FALSE(PartFile::try_open(part(), true, 100));
  std::thread other([&] { download(one); });
  std::this_thread::sleep_for(Millis{250});
  held->append(as_bytes(body));
  held->commit(one.target);
  held.reset();
  other.join();
  EXPECT_EQ(body, target());
  EXPECT_TRUE(server_.requests().empty());
  EXPECT_TRUE(clean());
}

/// tests/support/mirror.py under TLS with a certificate of its own; ends with the object.
class TlsMirror {
 public:
  /// @throws Error when openssl or python3 is missing
  explicit TlsMirror(const std::filesystem::path& dir) : port_file_(dir / "port") {
    os::Command make;
    make.argv = {"openssl", "req",   "-x509",  "-newkey", "rsa:2048",          "-nodes",
                 "-days",   "2",     "-subj",  "/CN=test", "-addext",          "subjectAltName=IP:127.0.0.1",
                 "-out",    cert(dir), "-keyout", (dir / "key.pem").string()};
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
  EXPECT_THAT(error_of([&] { client().get(url); }).joined(), HasSubstr("the CA file `/nonexistent.pem` cannot be used"));
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

/// Mounts a disk of 256 KiB on `folder`, seen by this process only. False where that is not allowed.
bool mount_small_disk(const std::filesystem::path& folder) {
  const std::string uid = std::to_string(::geteuid());
  const std::string gid = std::to_string(::getegid());
  if (uid == "0" ? ::unshare(CLONE_NEWNS) != 0 : ::unshare(CLONE_NEWUSER | CLONE_NEWNS) != 0) {
    return false;
  }
  if (uid != "0") {
    std::ofstream("/proc/self/setgroups") << "deny";
    std::ofstream("/proc/self/uid_map") << uid << " " << uid << " 1";
    std::ofstream("/proc/self/gid_map") << gid << " " << gid << " 1";
  }
  return ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
         ::mount("none", folder.c_str(), "tmpfs", 0, "size=256k") == 0;
}

TEST_F(HttpTest, AFullDiskIsSaidAtOnce) {
  server_.on("/f", answer(200, noise(1 << 20)));
  const pid_t child = ::fork();
  if (child == 0) {
    // A small disk of our own; the server runs in the parent.
    constexpr int kNoNamespaces = 77;
    if (!mount_small_disk(dir_.path())) {
      ::_exit(kNoNamespaces);
    }
    const Error error = error_of([&] { download(file({server_.url("/f"), server_.url("/g")}, noise(1 << 20))); });
    const bool right = error.kind() == ErrorKind::NoSpace && !error.hints().empty() &&
                       error.joined().find("file.part") != std::string::npos;
    std::fprintf(stderr, "%s", right ? "" : (error.joined() + "\n").c_str());
    ::_exit(right ? 0 : 1);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  ASSERT_TRUE(WIFEXITED(status));
  if (WEXITSTATUS(status) == 77) {
    GTEST_SKIP() << "no mounts are allowed here";
  }
  EXPECT_EQ(0, WEXITSTATUS(status));
  EXPECT_EQ(0u, server_.count("/g"));
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
