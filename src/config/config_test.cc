#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>

#include "config/config.h"
#include "config/discover.h"
#include "config/settings.h"
#include "core/error.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::config {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using Urls = std::vector<std::string>;

/// A made-up machine: files below a folder, an environment of its own.
class ConfigTest : public ::testing::Test {
 protected:
  ConfigTest() : dir_(std::filesystem::temp_directory_path(), "slip-config") {
    host_.root = dir_.path();
    host_.env = {{"HOME", "/home/me"}, {"PATH", "/usr/bin"}};
    host_.dirs = {"/home/me/.local/share/slipway", "/home/me/.local/state/slipway",
                  "/home/me/.config/slipway/config.toml", "/run/user/1/slipway"};
  }

  void put(const std::string& path, const std::string& text) const {
    const auto full = dir_.path() / path.substr(1);
    os::make_dirs(full.parent_path());
    os::write_file(full, text);
  }
  Config loaded() const { return load(host_); }
  Setting setting(const std::string& key) const {
    for (const Setting& one : loaded().settings) {
      if (one.key == key) {
        return one;
      }
    }
    return {};
  }
  Error error_of_load() const {
    try {
      load(host_);
    } catch (const Error& e) {
      return e;
    }
    ADD_FAILURE() << "no error";
    return Error(ErrorKind::Internal, "no error");
  }

  os::TempDir dir_;
  Host host_;
};

constexpr const char* kOwn = "/home/me/.config/slipway/config.toml";
constexpr const char* kSystem = "/etc/slipway/config.toml";

TEST_F(ConfigTest, ABareMachineHasDefaultsAndNoSources) {
  const Config config = loaded();
  EXPECT_TRUE(config.sources.debian.empty());
  EXPECT_TRUE(config.sources.python.empty());
  EXPECT_EQ("/home/me/.local/share/slipway", config.dirs.store);
  EXPECT_EQ(16u, config.http_parallel);
  EXPECT_EQ(0u, config.jobs);
  EXPECT_EQ(kRootHostId, config.root_host_id);
  EXPECT_EQ("", config.ca_file);
  ASSERT_EQ(kSettings.size(), config.settings.size());
  EXPECT_EQ("not set", setting("sources.pypi").origin);
  EXPECT_EQ("[]", setting("sources.pypi").value);
}

TEST_F(ConfigTest, AMissingSourceSaysWhichLineToWrite) {
  try {
    require_debian(loaded(), "debian-security");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(ErrorKind::NotFound, e.kind());
    EXPECT_EQ("no mirror is configured for the source `debian-security`", e.joined());
    EXPECT_THAT(e.hints(),
                Contains(HasSubstr("/home/me/.config/slipway/config.toml:\n[sources]\ndebian-security = [")));
    EXPECT_THAT(e.hints(), Contains(HasSubstr("SLIPWAY_SOURCE_DEBIAN_SECURITY")));
    EXPECT_THAT(e.hints(), Contains(HasSubstr("python-apt-common")));
  }
  try {
    require_python(loaded(), "pypi");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ("no index is configured for the source `pypi`", e.joined());
    EXPECT_THAT(e.hints(), Contains(HasSubstr("python3-pip")));
  }
}

TEST_F(ConfigTest, TheStrongerPlaceWinsAndIsNamed) {
  put("/etc/pip.conf", "[global]\nindex-url = https://pip.example/simple/\n");
  EXPECT_EQ("pip (/etc/pip.conf)", setting("sources.pypi").origin);
  put(kSystem, "[sources]\npypi = \"https://system.example/simple\"\n");
  EXPECT_EQ("/etc/slipway/config.toml:2", setting("sources.pypi").origin);
  put(kOwn, "\n\n[sources]\npypi = [\"https://own.example/simple/\", \"https://two.example/simple\"]\n");
  EXPECT_EQ("/home/me/.config/slipway/config.toml:4", setting("sources.pypi").origin);
  EXPECT_EQ(R"(["https://own.example/simple", "https://two.example/simple"])", setting("sources.pypi").value);
  host_.env["SLIPWAY_SOURCE_PYPI"] = "https://env.example/simple";
  EXPECT_EQ("environment SLIPWAY_SOURCE_PYPI", setting("sources.pypi").origin);
  EXPECT_THAT(require_python(loaded(), "pypi"), ElementsAre("https://env.example/simple"));
}

TEST_F(ConfigTest, ReadsEverySetting) {
  put(kOwn,
      "store = \"/srv/store\"\nstate = \"~/state\"\njobs = 3\nroot_host_id = 70000\n"
      "[http]\nca_file = \"/ca.pem\"\nparallel = 4\nhttp_proxy = \"http://p.example:1\"\n"
      "https_proxy = \"http://me:pw@p.example:2\"\nno_proxy = \"a.example,b.example\"\n"
      "[sources]\ndebian-archive = \"http://old.example/debian/\"\nteam = \"https://t.example/simple\"\n");
  const Config config = loaded();
  EXPECT_EQ("/srv/store", config.dirs.store);
  EXPECT_EQ("/home/me/state", config.dirs.state);
  EXPECT_EQ(3u, config.jobs);
  EXPECT_EQ(70000u, config.root_host_id);
  EXPECT_EQ("/ca.pem", config.ca_file);
  EXPECT_EQ(4u, config.http_parallel);
  EXPECT_EQ("http://p.example:1", config.http_proxy);
  EXPECT_EQ("http://me:pw@p.example:2", config.https_proxy);
  EXPECT_EQ("\"http://***@p.example:2\"", setting("http.https_proxy").value);
  EXPECT_EQ("a.example,b.example", config.no_proxy);
  EXPECT_THAT(require_debian(config, "debian-archive"), ElementsAre("http://old.example/debian"));
  EXPECT_THAT(require_python(config, "team"), ElementsAre("https://t.example/simple"));
  EXPECT_EQ("a further source", setting("sources.team").doc);
}

TEST_F(ConfigTest, RegistriesHaveTheirOwnTables) {
  put(kSystem, "[registries.\"r.example:5000\"]\nplain_http = true\nca_file = \"/old.pem\"\n");
  put(kOwn,
      "[registries.\"r.example:5000\"]\nca_file = \"/ca.pem\"\ntrusted_keys = [\"/a.pub\", \"~/b.pub\"]\n"
      "require_signature = true\nallow_mounts = true\n[registries.\"other.example\"]\nallow_mounts = false\n");
  const Registry registry = loaded().registries.at("r.example:5000");
  EXPECT_TRUE(registry.plain_http);
  EXPECT_EQ("/ca.pem", registry.ca_file);
  EXPECT_TRUE(registry.require_signature);
  EXPECT_TRUE(registry.allow_mounts);
  EXPECT_FALSE(loaded().registries.at("other.example").allow_mounts);
  EXPECT_EQ("true", setting("registries.r.example:5000.allow_mounts").value);
  EXPECT_THAT(registry.trusted_keys, ElementsAre("/a.pub", "/home/me/b.pub"));
  EXPECT_EQ("/etc/slipway/config.toml:2", setting("registries.r.example:5000.plain_http").origin);
  put(kOwn, "[registries.\"r.example\"]\nplain_htp = true\n");
  EXPECT_THROW(loaded(), Error);
  put(kOwn, "[registries.\"r.example\"]\nplain_http = \"yes\"\n");
  EXPECT_THROW(loaded(), Error);
  put(kOwn, "[registries]\nplain_http = true\n");
  EXPECT_THROW(loaded(), Error);
}

TEST_F(ConfigTest, EverySettingHasAnEnvironmentVariable) {
  for (const Known& known : kSettings) {
    const bool path = known.kind == Kind::Path;
    const std::string value = known.kind == Kind::Count ? "5" : path ? "/x" : "http://h.example/x";
    host_.env[std::string(known.env)] = value;
    EXPECT_EQ("environment " + std::string(known.env), setting(std::string(known.key)).origin) << known.key;
    EXPECT_THAT(setting(std::string(known.key)).value, HasSubstr(value));
  }
}

TEST_F(ConfigTest, ErrorsNameLineAndColumnAndTheLikelyKey) {
  put(kOwn, "[http]\nca_fiel = \"/x\"\n");
  Error error = error_of_load();
  EXPECT_EQ(ErrorKind::Invalid, error.kind());
  EXPECT_EQ(std::string(kOwn) + ":2:1: unknown setting `http.ca_fiel`", error.joined());
  EXPECT_THAT(error.hints(), ElementsAre("did you mean `http.ca_file`?"));
  put(kOwn, "jobs = \"many\"\n");
  EXPECT_EQ(std::string(kOwn) + ":1:8: `jobs` must be a number, 0 or more", error_of_load().joined());
  put(kOwn, "jobs = 1\njobs = 2\n");
  EXPECT_THAT(error_of_load().joined(), HasSubstr(std::string(kOwn) + ":2:"));
  put(kOwn, "[sources]\npypi = [\"https://a.example\", 3]\n");
  EXPECT_THAT(error_of_load().joined(), HasSubstr(":2:30: `sources.pypi` must be a URL or a list of URLs"));
  put(kOwn, "[sources]\npypi = \"ftp://me:pw@a.example\"\n");
  EXPECT_THAT(error_of_load().joined(), HasSubstr(":2: `sources.pypi` holds `ftp://***@a.example`"));
  put(kOwn, "store = \"relative\"\n");
  EXPECT_THAT(error_of_load().joined(), HasSubstr("must be an absolute path"));
  put(kOwn, "root_host_id = 0\n");
  EXPECT_THAT(error_of_load().joined(), HasSubstr("from 1 to"));
}

TEST_F(ConfigTest, ADamagedFileIsNamedWithItsPlace) {
  const std::string file = "/etc/slipway/config.toml";
  for (const auto& [text, place] : {std::pair{"jobs = 1\nstore = \"a\xff\"\n", ":2:11: a byte that no text has"},
                                    {"[\vhttp]\n", ":1:2: a byte that no text has"},
                                    {"jobs = 1\n[http\n", ":2:"},
                                    {"jobs = 1\njobs = 2\n", ":2:"},
                                    {"jobs = \"\n", ":1:"},
                                    {"jobs = -1\n", ":1:8: "},
                                    {"sources = 1\n", ":1:"}}) {
    put(file, text);
    EXPECT_THAT(error_of_load().joined(), HasSubstr("config.toml" + std::string(place))) << text;
  }
}

TEST_F(ConfigTest, TheDefaultHostIdMustBeNobodys) {
  put("/etc/passwd", "root:x:0:0::/root:/bin/sh\nx:x:2100000000:1::/:/bin/sh\n");
  EXPECT_EQ(ErrorKind::Conflict, error_of_load().kind());
  put(kOwn, "root_host_id = 2100000001\n");
  EXPECT_EQ(2100000001u, loaded().root_host_id);
  put(kOwn, "");
  put("/etc/passwd", "");
  put("/etc/subuid", "me:2099999999:65536\n");
  EXPECT_THAT(error_of_load().joined(), HasSubstr("/etc/subuid"));
}

TEST_F(ConfigTest, AContainerWithFewIdsGetsASmallHostId) {
  put("/proc/self/uid_map", "         0     100000      65536\n");
  EXPECT_EQ(kSmallRootHostId, loaded().root_host_id);
  put("/proc/self/uid_map", "         0          0 4294967295\n");
  EXPECT_EQ(kRootHostId, loaded().root_host_id);
}

TEST_F(ConfigTest, FindsDebianInDeb822Sources) {
  put("/etc/apt/sources.list.d/debian.sources",
      "# ours\nTypes: deb deb-src\nURIs: http://mirror.example/debian/ http://second.example/debian\n"
      "Suites: bookworm bookworm-updates\nComponents: main\nSigned-By: "
      "/usr/share/keyrings/debian-archive-keyring.gpg\n\n"
      "Types: deb\nURIs: http://mirror.example/debian-security\nSuites:\n bookworm-security\n"
      "Components: main contrib\n\n"
      "Types: deb\nURIs: http://off.example/debian\nSuites: bookworm\nComponents: main\nEnabled: no\n\n"
      "Types: deb-src\nURIs: http://src.example/debian\nSuites: bookworm\nComponents: main\n");
  const Config config = loaded();
  EXPECT_THAT(require_debian(config, "debian"),
              ElementsAre("http://mirror.example/debian", "http://second.example/debian"));
  EXPECT_THAT(require_debian(config, "debian-security"), ElementsAre("http://mirror.example/debian-security"));
  EXPECT_EQ("apt (/etc/apt/sources.list.d/debian.sources)", setting("sources.debian").origin);
}

TEST_F(ConfigTest, FindsDebianInOneLineSources) {
  put("/etc/apt/sources.list",
      "# deb http://comment.example/debian bookworm main\n"
      "deb [arch=amd64 signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] https://mirror.example/debian "
      "bookworm main\n"
      "deb http://mirror.example/security bullseye/updates main # old style\n"
      "deb cdrom:[Debian GNU/Linux 12]/ bookworm main\n");
  const Config config = loaded();
  EXPECT_THAT(config.sources.debian.at("debian"), ElementsAre("https://mirror.example/debian"));
  EXPECT_THAT(config.sources.debian.at("debian-security"), ElementsAre("http://mirror.example/security"));
}

TEST_F(ConfigTest, SkipsForeignRepositories) {
  put("/etc/apt/sources.list.d/foreign.list",
      "deb [signed-by=/etc/apt/keyrings/vendor.gpg] https://a.example/debian bookworm main\n"
      "deb https://b.example/apt stable main\n"
      "deb https://c.example/debian bookworm stable\n"
      "deb https://d.example/debian bookworm-pgdg main\n"
      "deb https://e.example/debian bookworm-backports main\n"
      "deb https://f.example/deb ./ main\n"
      "deb https://g.example/debian bookworm main\n");
  put("/var/lib/apt/lists/g.example_debian_dists_bookworm_InRelease", "-----\n\nOrigin: Vendor\nSuite: stable\n");
  EXPECT_THAT(loaded().sources.debian, IsEmpty());
  put("/var/lib/apt/lists/b.example_apt_dists_stable_InRelease", "Origin: Debian\n");
  EXPECT_THAT(loaded().sources.debian.at("debian"), ElementsAre("https://b.example/apt"));
}

TEST_F(ConfigTest, ReadsMirrorLists) {
  put("/etc/apt/mirrors/debian.list", "https://near.example/debian\tpriority:1\n# no\nhttps://far.example/debian\n");
  put("/etc/apt/sources.list", "deb mirror+file:///etc/apt/mirrors/debian.list bookworm main\n");
  EXPECT_THAT(loaded().sources.debian.at("debian"),
              ElementsAre("https://near.example/debian", "https://far.example/debian"));
}

TEST_F(ConfigTest, FallsBackOnWhatPackagesCarry) {
  put("/usr/share/python-apt/templates/Debian.info",
      "Suite: {series}\nRepositoryType: deb\nBaseURI: https://mirror.example/debian/\n\n"
      "Suite: {series}-security\nBaseURI: https://security.example/\n\nSuite: {series}-updates\n");
  put("/usr/lib/python3/dist-packages/pip/_internal/models/index.py",
      "TestPyPI = PackageIndex(\"https://test.example/\")\nPyPI = PackageIndex(\n    \"https://index.example/\", "
      "x=1)\n");
  const Config config = loaded();
  EXPECT_THAT(config.sources.debian.at("debian"), ElementsAre("https://mirror.example/debian"));
  EXPECT_THAT(config.sources.debian.at("debian-security"), ElementsAre("https://security.example"));
  EXPECT_THAT(config.sources.python.at("pypi"), ElementsAre("https://index.example/simple"));
  EXPECT_THAT(setting("sources.debian").origin, HasSubstr("python-apt-common"));
}

TEST_F(ConfigTest, FindsTheIndexOfAPipOnPath) {
  host_.env["PATH"] = "/opt/py/bin:/usr/bin";
  put("/opt/py/bin/pip", "");
  put("/opt/py/lib/python3.9/site-packages/pip/_internal/models/index.py",
      "PyPI = PackageIndex('https://index.example')");
  EXPECT_THAT(loaded().sources.python.at("pypi"), ElementsAre("https://index.example/simple"));
}

TEST_F(ConfigTest, FindsTheIndexInDebiansPipWheel) {
  const std::string folder = dir_.path() / "usr/share/python-wheels";
  os::make_dirs(folder);
  const std::string script =
      "import sys,zipfile\n"
      "z=zipfile.ZipFile(sys.argv[1],'w',zipfile.ZIP_DEFLATED)\n"
      "z.writestr('pip/__init__.py','#'*5000)\n"
      "z.writestr('pip/_internal/models/index.py','import x\\n'*50+'PyPI = "
      "PackageIndex(\"https://index.example/\")\\n')\n"
      "z.close()\n";
  try {
    os::Command command;
    command.argv = {"python3", "-c", script, folder + "/pip-1.0-py3-none-any.whl"};
    os::run_checked(command);
  } catch (const Error& e) {
    GTEST_SKIP() << e.joined();
  }
  EXPECT_THAT(loaded().sources.python.at("pypi"), ElementsAre("https://index.example/simple"));
}

TEST(ZipEntry, BrokenArchivesHaveNoEntries) {
  EXPECT_EQ(std::nullopt, zip_entry("", "a"));
  EXPECT_EQ(std::nullopt, zip_entry("PK\x05\x06", "a"));
  std::string end("PK\x05\x06", 4);
  end += std::string(6, '\0') + std::string("\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\0\0", 12);
  EXPECT_EQ(std::nullopt, zip_entry(end, "a"));
}

TEST_F(ConfigTest, PipsFilesAndEnvironmentInPipsOrder) {
  put("/etc/pip.conf",
      "[global]\nindex-url = https://etc.example/simple\ncert = /etc/ca.pem\n[search]\nindex-url = "
      "https://no.example\n");
  put("/home/me/.config/pip/pip.conf",
      "; mine\n[install]\nindex_url: https://me:pw@user.example/simple\nextra-index-url =\n  "
      "https://x.example/simple/\n"
      "  https://y.example/simple\n[global]\nindex-url = https://weaker.example/simple\n");
  EXPECT_THAT(loaded().sources.python.at("pypi"),
              ElementsAre("https://me:pw@user.example/simple", "https://x.example/simple", "https://y.example/simple"));
  EXPECT_THAT(setting("sources.pypi").value, Not(HasSubstr("pw")));
  EXPECT_EQ("", loaded().ca_file) << "a file that does not exist helps nobody";
  put("/etc/ca.pem", "");
  EXPECT_EQ("/etc/ca.pem", loaded().ca_file);
  EXPECT_EQ("pip (/etc/pip.conf)", setting("http.ca_file").origin);
  host_.env["PIP_INDEX_URL"] = "https://env.example/simple";
  EXPECT_EQ("https://env.example/simple", loaded().sources.python.at("pypi").front());
  host_.env["PIP_CONFIG_FILE"] = "/dev/null";
  EXPECT_THAT(loaded().sources.python.at("pypi"), ElementsAre("https://env.example/simple"));
}

TEST_F(ConfigTest, UvBeforePip) {
  host_.env["PIP_INDEX_URL"] = "https://pip.example/simple";
  put("/home/me/.config/uv/uv.toml",
      "index-url = \"https://file.example/simple\"\n[[index]]\nname = \"x\"\nurl = \"https://extra.example/simple\"\n"
      "[[index]]\nurl = \"https://pinned.example/simple\"\nexplicit = true\n");
  EXPECT_THAT(loaded().sources.python.at("pypi"),
              ElementsAre("https://pip.example/simple", "https://extra.example/simple"))
      << "the environment of either comes before the files of both";
  host_.env["UV_DEFAULT_INDEX"] = "main=https://uv.example/simple";
  host_.env["UV_INDEX"] = "a=https://a.example/simple https://b.example/simple";
  EXPECT_THAT(loaded().sources.python.at("pypi"),
              ElementsAre("https://uv.example/simple", "https://a.example/simple", "https://b.example/simple"));
  host_.env.erase("PIP_INDEX_URL");
  host_.env.erase("UV_DEFAULT_INDEX");
  host_.env.erase("UV_INDEX");
  EXPECT_THAT(loaded().sources.python.at("pypi"),
              ElementsAre("https://file.example/simple", "https://extra.example/simple"));
}

TEST_F(ConfigTest, AptsProxiesAndCa) {
  put("/ca.pem", "");
  put("/etc/apt/apt.conf.d/90proxy",
      "// a comment\nAcquire::http::Proxy \"http://wrong.example:1\";\n/* more\n */ # and more\n"
      "Acquire { http { Proxy \"http://proxy.example:3142\"; Proxy::Near.Example \"DIRECT\"; };\n"
      "  https::CAInfo \"/ca.pem\"; };\nAPT::NeverAutoRemove { \"^a.*\"; \"b\"; };\n");
  put("/etc/apt/apt.conf.d/99ignored.bak", "Acquire::http::Proxy \"http://bak.example\";\n");
  const Config config = loaded();
  EXPECT_EQ("http://proxy.example:3142", config.http_proxy);
  EXPECT_EQ("", config.https_proxy);
  EXPECT_EQ("near.example", config.no_proxy);
  EXPECT_EQ("/ca.pem", config.ca_file);
  host_.env["http_proxy"] = "http://env.example";
  EXPECT_EQ("", loaded().http_proxy) << "curl reads the environment's itself";
}

TEST_F(ConfigTest, TheEnvironmentsCaComesBeforePips) {
  put("/pip.pem", "");
  host_.env["PIP_CERT"] = "/pip.pem";
  EXPECT_EQ("/pip.pem", loaded().ca_file);
  host_.env["REQUESTS_CA_BUNDLE"] = "/requests.pem";
  EXPECT_EQ("environment REQUESTS_CA_BUNDLE", setting("http.ca_file").origin);
  host_.env["SSL_CERT_FILE"] = "/ssl.pem";
  EXPECT_EQ("/ssl.pem", loaded().ca_file);
}

TEST_F(ConfigTest, WhatWasDiscoveredReadsBackTheSame) {
  put("/etc/apt/sources.list", "deb http://mirror.example/debian bookworm main\n");
  put("/etc/apt/apt.conf", "Acquire::http::Proxy \"http://proxy.example\";");
  host_.env["PIP_INDEX_URL"] = "https://index.example/\\simple";
  const Config before = loaded();
  const std::string text = discover_toml(host_);
  EXPECT_THAT(text, HasSubstr("# apt (/etc/apt/sources.list)\ndebian = [\"http://mirror.example/debian\"]\n"));
  put("/etc/apt/sources.list", "");
  put("/etc/apt/apt.conf", "");
  host_.env.erase("PIP_INDEX_URL");
  put(kOwn, text);
  const Config after = loaded();
  EXPECT_EQ(before.sources.debian, after.sources.debian);
  EXPECT_EQ(before.sources.python, after.sources.python);
  EXPECT_EQ(before.http_proxy, after.http_proxy);
}

TEST_F(ConfigTest, DiscoveryWritesNoSecrets) {
  host_.env["PIP_INDEX_URL"] = "https://me:secret@index.example/simple";
  const std::string text = discover_toml(host_);
  EXPECT_THAT(text, Not(HasSubstr("secret")));
  EXPECT_THAT(text, HasSubstr("# pypi: has credentials, so it stays where it is: environment PIP_INDEX_URL\n"));
}

/// pip itself is the oracle for where its files are and what wins.
TEST_F(ConfigTest, AgreesWithPip) {
  const std::string root = dir_.path();
  host_.root = "/";
  host_.env = {{"HOME", root + "/home"}, {"XDG_CONFIG_DIRS", root + "/xdg"}, {"PATH", "/usr/bin:/bin"}};
  put("/xdg/pip/pip.conf",
      "[global]\nindex-url = https://a.example/simple\nextra-index-url = https://b.example/simple\n");
  put("/home/.pip/pip.conf",
      "[global]\nextra_index_url =\n   https://c.example/simple\n\n   https://d.example/simple\n");
  put("/home/.config/pip/pip.conf", "[GLOBAL]\nx = y\n[global]\nindex-url: https://e.example/simple\n");
  os::Command command;
  command.argv = {"/usr/bin/python3", "-m", "pip", "config", "list"};
  command.env = host_.env;
  std::string listed;
  try {
    listed = os::run_checked(command);
  } catch (const Error& e) {
    GTEST_SKIP() << e.joined();
  }
  EXPECT_THAT(listed, HasSubstr("global.index-url='https://e.example/simple'"));
  EXPECT_THAT(listed, HasSubstr("https://c.example/simple\\n\\nhttps://d.example/simple"));
  const Indexes ours = pip_files(host_).indexes;
  EXPECT_EQ(Urls({"https://e.example/simple"}), ours.chosen.values);
  EXPECT_EQ(Urls({"https://c.example/simple", "https://d.example/simple"}), ours.extra.values);
}

/// apt-config is the oracle for the grammar of apt.conf.
TEST_F(ConfigTest, AgreesWithAptConfig) {
  const std::string text =
      "A::B \"1\"; A { C \"2\"; D { E \"3\"; }; };\n# x\na::b \"4 // no comment\"; /* F::G \"5\"; */ H::I::J \"6\";\n";
  put("/apt.conf", text);
  os::Command command;
  command.argv = {"apt-config", "dump", "--format", "%F=%v%n"};
  command.env = {{"APT_CONFIG", (dir_.path() / "apt.conf").string()}, {"PATH", "/usr/bin:/bin"}};
  std::string listed;
  try {
    listed = os::run_checked(command);
  } catch (const Error& e) {
    GTEST_SKIP() << e.joined();
  }
  const auto ours = parse_apt_conf(text);
  EXPECT_EQ(5u, ours.size() + 1);
  for (const auto& [key, value] : ours) {
    const std::string line = key + "=" + value + "\n";
    std::string lower = listed;
    std::transform(lower.begin(), lower.end(), lower.begin(), [](unsigned char c) { return std::tolower(c); });
    EXPECT_THAT(lower, HasSubstr(line));
  }
}

}  // namespace
}  // namespace slip::config
