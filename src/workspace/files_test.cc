#include "workspace/files.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/error.h"
#include "core/text.h"
#include "os/process.h"
#include "workspace/host.h"
#include "workspace/inspect.h"
#include "workspace/journal.h"
#include "workspace/secrets.h"
#include "workspace/ssh_config.h"

namespace slip::workspace {
namespace {

namespace fs = std::filesystem;

std::string out_of(std::vector<std::string> argv) {
  os::Command command;
  command.argv = std::move(argv);
  return os::run_checked(command);
}

class Files : public testing::Test {
 protected:
  void SetUp() override {
    fs::create_directories(root() / "home/dev");
    os::write_file(root() / "home/dev/.bashrc", "# from the image\n");
    os::make_dirs(folder_.path, 0700);
  }
  fs::path root() const { return dir_.path() / "root"; }
  Record record() const {
    Record r;
    r.name = "demo";
    r.user = "dev";
    r.jupyter = true;
    r.ssh = true;
    r.ports = {{"jupyter", std::uint16_t{8888}}, {"ssh", std::uint16_t{2222}}};
    return r;
  }
  unsigned mode(const fs::path& path) const {
    struct stat st{};
    return ::stat(path.c_str(), &st) == 0 ? st.st_mode & 07777U : 0;
  }
  os::TempDir dir_{fs::temp_directory_path(), "slipway-files-"};
  os::HostDirs dirs_{dir_.path() / "store", dir_.path() / "state with a blank", dir_.path() / "config", dir_.path()};
  Folder folder_ = folder_of(dirs_, "demo");
};

TEST_F(Files, SecretsAreMadeOnceAndOnlyTheOwnerReadsThem) {
  write_files(record(), folder_, root(), {});
  const std::string token = os::read_file(folder_.keys() / "jupyter_token");
  const std::string key = os::read_file(folder_.client_key());
  EXPECT_EQ(token.size(), 49U);
  for (const char* name : {"jupyter_token", "ssh_host_ed25519_key", "authorized_keys"}) {
    EXPECT_EQ(mode(folder_.keys() / name), 0600U) << name;
  }
  EXPECT_EQ(mode(folder_.client_key()), 0600U);
  EXPECT_EQ(mode(folder_.path), 0700U);
  os::write_file(folder_.home() / ".bashrc", "# the person's\n");
  write_files(record(), folder_, root(), {});
  EXPECT_EQ(os::read_file(folder_.keys() / "jupyter_token"), token);
  EXPECT_EQ(os::read_file(folder_.client_key()), key);
  EXPECT_EQ(os::read_file(folder_.home() / ".bashrc"), "# the person's\n");
}

TEST_F(Files, OpenSshAgreesWithTheKeys) {
  write_files(record(), folder_, root(), {});
  const std::string said = out_of({"ssh-keygen", "-y", "-f", folder_.client_key()});
  EXPECT_EQ(trim(said), trim(os::read_file(folder_.client_key().string() + ".pub")));
  EXPECT_TRUE(os::read_file(folder_.keys() / "authorized_keys").starts_with(said.substr(0, 60)));
  const std::string known = out_of({"ssh-keygen", "-l", "-f", folder_.known_hosts()});
  const std::string host = out_of({"ssh-keygen", "-l", "-f", folder_.keys() / "ssh_host_ed25519_key"});
  EXPECT_EQ(split_words(known)[1], split_words(host)[1]);
}

TEST_F(Files, ThePersonsPublicKeysMayLogIn) {
  const fs::path home = dir_.path() / "person";
  fs::create_directories(home / ".ssh");
  os::write_file(home / ".ssh/id_ed25519.pub", "ssh-ed25519 AAAAC3Nz me@laptop\n");
  os::write_file(home / ".ssh/id_ed25519", "secret\n");
  os::write_file(home / ".ssh/notes.pub", "-----BEGIN\n");
  Record r = record();
  r.ssh_keys = {"ssh-ed25519 AAAAB team"};
  HostFiles host;
  host.home = home;
  write_files(r, folder_, root(), host);
  const std::string keys = os::read_file(folder_.keys() / "authorized_keys");
  EXPECT_EQ(split(trim(keys), '\n').size(), 3U);
  EXPECT_NE(keys.find("me@laptop\n"), std::string::npos);
  EXPECT_NE(keys.find("team\n"), std::string::npos);
}

TEST_F(Files, OpenSshReadsTheBlockAsMeant) {
  write_files(record(), folder_, root(), {});
  os::write_file(folder_.record(), to_json(record()), 0600);
  os::write_file(folder_.ssh_config(), ssh_block(record(), folder_), 0600);
  write_ssh_index(dirs_);
  const fs::path home = dir_.path() / "person";
  os::make_dirs(home / ".ssh", 0700);
  os::write_file(home / ".ssh/config", "Host other\n  Port 99\n", 0640);
  EXPECT_TRUE(include_ssh_index(dirs_, home));
  EXPECT_FALSE(include_ssh_index(dirs_, home));
  EXPECT_EQ(mode(home / ".ssh/config"), 0640U);
  const std::string ours = out_of({"ssh", "-G", "-F", home / ".ssh/config", "demo"});
  EXPECT_NE(ours.find("\nport 2222\n"), std::string::npos) << ours;
  EXPECT_NE(ours.find("\nuser dev\n"), std::string::npos) << ours;
  EXPECT_NE(ours.find("\nidentityfile " + folder_.client_key().string() + "\n"), std::string::npos) << ours;
  EXPECT_NE(ours.find("\nstricthostkeychecking true\n"), std::string::npos) << ours;
  EXPECT_NE(out_of({"ssh", "-G", "-F", home / ".ssh/config", "other"}).find("\nport 99\n"), std::string::npos);
}

TEST_F(Files, ABlockForALaptopJumpsThroughTheServer) {
  const std::string block = remote_ssh_block(record(), "me@gpu1", "ssh-ed25519 AAAAK demo\n");
  EXPECT_NE(block.find("known_hosts"), std::string::npos);
  os::write_file(dir_.path() / "laptop", block, 0600);
  const std::string said = out_of({"ssh", "-G", "-F", dir_.path() / "laptop", "demo"});
  EXPECT_NE(said.find("\nproxyjump me@gpu1\n"), std::string::npos) << said;
  EXPECT_NE(said.find("\nlocalforward [127.0.0.1]:8888 [127.0.0.1]:8888\n"), std::string::npos) << said;
}

TEST_F(Files, PipAsksWhatSlipwayAsks) {
  Record r = record();
  HostFiles host;
  host.index = {"https://a.test/simple", "https://b.test/simple"};
  write_files(r, folder_, root(), host);
  const std::string conf = os::read_file(folder_.keys() / "pip.conf");
  EXPECT_NE(conf.find("index-url = https://a.test/simple\nextra-index-url =\n    https://b.test/simple\n"),
            std::string::npos)
      << conf;
  EXPECT_EQ(mode(folder_.keys() / "pip.conf"), 0600U);
}

TEST_F(Files, ARecordIsReadAsItWasWritten) {
  Record r = record();
  r.limits = {std::uint64_t{1} << 30, 1.5, std::uint64_t{100}, {}};
  r.mounts = {{"/srv/data", "/data", true}};
  r.env = {{"A", "1"}};
  EXPECT_EQ(parse_record(to_json(r)), r);
  EXPECT_THROW(parse_record("{}"), Error);
  EXPECT_THROW(folder_of(dirs_, "../x"), Error);
  EXPECT_THROW(folder_of(dirs_, ""), Error);
}

TEST_F(Files, DriftIsWhatTheWritableLayerHolds) {
  const fs::path site = dir_.path() / "upper/lib/python3.9/site-packages";
  fs::create_directories(site / "humanize-4.4.0.dist-info");
  fs::create_directories(site / "ruamel.yaml-0.17.dist-info");
  EXPECT_FALSE(drift_of(dir_.path() / "upper").any());
  os::write_file(site / "humanize-4.4.0.dist-info/METADATA", "Name: humanize\n");
  EXPECT_EQ(drift_of(dir_.path() / "upper").added, std::vector<std::string>{"humanize 4.4.0"});
  EXPECT_FALSE(drift_of(dir_.path() / "nothing").any());
}

TEST_F(Files, AJournalTurnsOverAndIsReadInOrder) {
  const fs::path log = dir_.path() / "log";
  fs::create_directory(log);
  Journal journal(log);
  const std::string filler(1000, 'x');
  std::size_t seen = 0;
  for (int i = 0; i < 20'000; ++i) {
    journal.append(format("{{\"n\":{},\"x\":\"{}\"}}\n", i, filler), [&](std::string_view) { ++seen; });
  }
  EXPECT_EQ(seen, 20'000U);
  EXPECT_TRUE(fs::exists(log / "current.jsonl.2"));
  EXPECT_LT(fs::file_size(log / "current.jsonl.1"), 9U << 20);
  int next = 0;
  JournalReader reader(log);
  reader.read([&](std::string_view line) {
    EXPECT_TRUE(line.starts_with(format("{{\"n\":{},", next)));
    ++next;
  });
  EXPECT_EQ(next, 20'000);
  journal.append("{\"n\":20000,", [](std::string_view) {});
  journal.append("\"x\":\"\"}\n", [](std::string_view) {});
  reader.read([&](std::string_view line) { EXPECT_EQ(line, "{\"n\":20000,\"x\":\"\"}"); });
}

TEST(LogLine, ReadsLinesAndEvents) {
  const auto line = line_of(R"({"ts":"T","service":"ssh","stream":"stderr","line":"a\tb","partial":false})");
  ASSERT_TRUE(line);
  EXPECT_EQ(line->service, "ssh");
  EXPECT_EQ(line->text, "a\tb");
  EXPECT_EQ(line_of(R"({"ts":"T","event":"exit","status":3,"reason":"x"})")->text, "exit reason=x status=3");
  EXPECT_FALSE(line_of("no record"));
}

TEST(LoopbackSource, NamesHostAndPort) {
  EXPECT_EQ(loopback_source("http://127.0.0.1:3141/simple"), "127.0.0.1:3141");
  EXPECT_EQ(loopback_source("https://u:p@localhost/simple"), "localhost:443");
  EXPECT_EQ(loopback_source("http://[::1]:80/x"), "::1:80");
  EXPECT_EQ(loopback_source("https://index.test/simple"), "");
}

TEST(HashPassword, IsWhatJupyterChecks) {
  const std::string hash = hash_password("correct horse");
  EXPECT_TRUE(hash.starts_with("argon2:$argon2id$v=19$m=10240,t=10,p=8$")) << hash;
  EXPECT_NE(hash, hash_password("correct horse"));
}

}  // namespace
}  // namespace slip::workspace
