#include <sched.h>
#include <sys/mount.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "http/http_fixture.h"
#include "http/part_file.h"

namespace slip::http {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

using DownloadTest = HttpTest;

TEST_F(DownloadTest, DownloadsAndReportsProgress) {
  const std::string body = noise(700'000);
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_TRUE(clean());
  EXPECT_THAT(events_.lines, ElementsAre("Downloading thing 1.0", "ok"));
  EXPECT_EQ(std::pair(std::uint64_t{700'000}, std::uint64_t{700'000}), events_.last);
}

/// A file that must be fetched again, from another mirror, gives back what it had counted.
TEST_F(DownloadTest, TheTaskOfSeveralFilesCountsThemTogether) {
  const std::string body = noise(700'000);
  std::string wrong = body;
  wrong[699'999] ^= 1;
  server_.on("/a", answer(200, body));
  server_.on("/b", answer(200, wrong));
  server_.on("/c", answer(200, body));
  std::vector<Download> files = {file({server_.url("/a")}, body), file({server_.url("/b"), server_.url("/c")}, body)};
  files[1].target += "-b";
  constexpr TaskId kParent = 99;
  client().download(files, kParent);
  const auto& heard = events_.by_task[kParent];
  ASSERT_FALSE(heard.empty());
  EXPECT_EQ(heard.back(), std::pair(std::uint64_t{1'400'000}, std::uint64_t{1'400'000}));
  for (const auto& [done, total] : heard) {
    EXPECT_LE(done, total);
  }
}

TEST_F(DownloadTest, DownloadsAnEmptyFile) {
  server_.on("/f", answer(200, ""));
  download(file({server_.url("/f")}, ""));
  EXPECT_EQ("", target());
}

TEST_F(DownloadTest, GoesOnWhereABrokenConnectionStopped) {
  const std::string body = noise(10'000);
  Answer cut = answer(200, body);
  cut.cut_after = 4'000;
  server_.on("/f", cut);
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ("bytes=4000-", server_.requests().at(1).headers.at("range"));
}

TEST_F(DownloadTest, GoesOnWhereAnEarlierRunStopped) {
  const std::string body = noise(10'000);
  write_part(body.substr(0, 6'000));
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ("bytes=6000-", server_.requests().at(0).headers.at("range"));
}

TEST_F(DownloadTest, AsksNobodyWhenAnEarlierRunHadEverything) {
  const std::string body = noise(1'000);
  write_part(body);
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_TRUE(server_.requests().empty());
}

TEST_F(DownloadTest, StartsAgainWhenTheServerIgnoresRanges) {
  const std::string body = noise(10'000);
  write_part(body.substr(0, 6'000));
  Answer whole = answer(200, body);
  whole.ranges = false;
  server_.on("/f", whole);
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
}

TEST_F(DownloadTest, StartsAgainWhenTheEarlierRunsBytesAreOthers) {
  const std::string body = noise(10'000);
  write_part(std::string(6'000, 'x'));
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ(2u, server_.count("/f"));
  EXPECT_EQ(0u, server_.requests().at(1).headers.count("range"));
}

TEST_F(DownloadTest, TooLongAPartIsDropped) {
  const std::string body = noise(100);
  write_part(noise(200));
  server_.on("/f", answer(200, body));
  download(file({server_.url("/f")}, body));
  EXPECT_EQ(body, target());
}

TEST_F(DownloadTest, WithoutADigestAnEarlierRunsBytesAreNotTrusted) {
  write_part("old");
  server_.on("/f", answer(200, "new bytes"));
  download({{server_.url("/f")}, dir_.path() / "file", {}, {}, "index", {}, {}});
  EXPECT_EQ("new bytes", target());
  EXPECT_EQ(0u, server_.requests().at(0).headers.count("range"));
}

TEST_F(DownloadTest, WithoutADigestTheEtagDecidesWhetherToGoOn) {
  Answer first = answer(200, "old old old old", {{"ETag", "\"1\""}});
  first.cut_after = 8;
  server_.on("/f", first);
  server_.on("/f", answer(200, "new bytes", {{"ETag", "\"2\""}}));
  download({{server_.url("/f")}, dir_.path() / "file", {}, {}, "index", {}, {}});
  EXPECT_EQ("new bytes", target());
  EXPECT_EQ("\"1\"", server_.requests().at(1).headers.at("if-range"));
}

TEST_F(DownloadTest, ASecondMirrorHelpsAfterNotFound) {
  const std::string body = noise(100);
  server_.on("/2", answer(200, body));
  download(file({server_.url("/1"), server_.url("/2")}, body));
  EXPECT_EQ(body, target());
  EXPECT_EQ(1u, server_.count("/1"));
}

TEST_F(DownloadTest, ASecondMirrorHelpsAfterWrongBytes) {
  const std::string body = noise(100);
  server_.on("/1", answer(200, std::string(100, 'x')));
  server_.on("/2", answer(200, body));
  download(file({server_.url("/1"), server_.url("/2")}, body));
  EXPECT_EQ(body, target());
}

TEST_F(DownloadTest, WrongBytesOfTwoMirrorsAreCorrupt) {
  const std::string body = noise(100);
  server_.on("/1", answer(200, std::string(100, 'x')));
  server_.on("/2", answer(200, std::string(100, 'y')));
  server_.on("/3", answer(200, body));
  const Error error =
      error_of([&] { download(file({server_.url("/1"), server_.url("/2"), server_.url("/3")}, body)); });
  EXPECT_EQ(ErrorKind::Corrupt, error.kind());
  EXPECT_THAT(error.joined(), HasSubstr("expected " + codec::sha256(body).text()));
  EXPECT_THAT(error.joined(), HasSubstr("actual   " + codec::sha256(std::string(100, 'y')).text()));
  EXPECT_EQ(0u, server_.count("/3"));
  EXPECT_TRUE(clean());
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "file"));
  EXPECT_THAT(events_.lines, ElementsAre("Downloading thing 1.0", "not ok"));
}

TEST_F(DownloadTest, AWrongLengthIsSeenBeforeTheBody) {
  const std::string body = noise(100);
  server_.on("/f", answer(200, noise(101)));
  const Error error = error_of([&] { download(file({server_.url("/f")}, body)); });
  EXPECT_EQ(ErrorKind::Corrupt, error.kind());
  EXPECT_THAT(error.joined(), HasSubstr("the size differs: expected 100 bytes: actual   101 bytes"));
}

TEST_F(DownloadTest, AnUnannouncedLongerBodyIsCorrupt) {
  Answer a = answer(200, noise(101));
  a.chunked = true;
  server_.on("/f", a);
  EXPECT_EQ(ErrorKind::Corrupt, error_of([&] { download(file({server_.url("/f")}, noise(100))); }).kind());
}

TEST_F(DownloadTest, TruncatedAnswersSayHowMuchCame) {
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

TEST_F(DownloadTest, AnAnswerThatEndsEarlyWithoutALengthIsTriedAgain) {
  Answer a = answer(200, noise(100).substr(0, 40));
  a.chunked = true;
  server_.on("/f", a);
  server_.on("/f", answer(200, noise(100)));
  download(file({server_.url("/f")}, noise(100)));
  EXPECT_EQ(noise(100), target());
}

TEST_F(DownloadTest, EachStatusHasItsKindAndHint) {
  const std::vector<std::tuple<int, ErrorKind, std::string>> table = {
      {401, ErrorKind::Denied, "credentials"},        {403, ErrorKind::Denied, "refuses"},
      {404, ErrorKind::NotFound, "slipway lock"},     {410, ErrorKind::NotFound, "slipway lock"},
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

TEST_F(DownloadTest, ManyFilesEndAtTheFirstThatCannotBeHad) {
  std::vector<Download> files;
  for (int i = 0; i < 20; ++i) {
    const std::string path = "/" + std::to_string(i);
    server_.on(path, answer(i == 5 ? 404 : 200, noise(2000)));
    files.push_back({{server_.url(path)}, dir_.path() / std::to_string(i), 2000, codec::sha256(noise(2000)), path, {}, {}});
  }
  const Error error = error_of([&] { client().download(files); });
  EXPECT_THAT(error.joined(), HasSubstr("download `/5`"));
  files.erase(files.begin() + 5);
  client().download(files);
  for (const Download& one : files) {
    EXPECT_EQ(noise(2000), os::read_file(one.target));
  }
}

TEST_F(DownloadTest, TheSecondProcessTakesWhatTheFirstVerified) {
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

TEST_F(DownloadTest, AFullDiskIsSaidAtOnce) {
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

}  // namespace
}  // namespace slip::http
