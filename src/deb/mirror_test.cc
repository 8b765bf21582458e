// What only a real archive can show: the same choice as apt's, and a configured system that is the same twice. Needs
// the mirror that this host's configuration names.

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <set>
#include <sstream>

#include "codec/sha256.h"
#include "config/config.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/text.h"
#include "deb/deb.h"
#include "launch/ownership.h"
#include "os/file.h"
#include "os/process.h"
#include "store/root.h"

namespace slip::deb {
namespace {

namespace fs = std::filesystem;

class Mirror : public testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("SLIPWAY_TEST_NETWORK") == nullptr) {
      GTEST_SKIP() << "set SLIPWAY_TEST_NETWORK=1 to use the mirror that is configured";
    }
    config_ = config::load();
    for (const char* alias : {"debian", "debian-security"}) {
      if (!config_.sources.debian.contains(alias)) {
        GTEST_SKIP() << "no mirror is configured for " << alias;
      }
    }
    const char* shared = std::getenv("SLIPWAY_TEST_STORE");
    store_ = std::make_unique<store::Store>(shared != nullptr ? fs::path(shared) : folder_.path() / "store");
    client_ = std::make_unique<http::Client>(http::Options{}, events_);
  }

  Solution solve_for(const std::string& release, const std::vector<std::string>& names, bool with_python) {
    std::vector<Request> requests;
    for (const std::string& name : names) {
      requests.push_back({name, "", ""});
    }
    return solve(release, requests, with_python, config_, *client_, *store_, events_);
  }

  os::TempDir folder_{fs::temp_directory_path(), "slip-deb-"};
  NullEvents events_;
  config::Config config_;
  std::unique_ptr<store::Store> store_;
  std::unique_ptr<http::Client> client_;
};

/// A root of apt's own, in which nothing is installed.
class AptRoot {
 public:
  AptRoot(const fs::path& folder, const std::string& release, const config::Config& config) : folder_(folder) {
    for (const char* sub : {"etc/apt/apt.conf.d", "etc/apt/preferences.d", "lists/partial", "cache/archives/partial"}) {
      os::make_dirs(folder / sub);
    }
    os::write_file(folder / "status", "");
    os::write_file(folder / "empty.conf", "");
    std::string sources;
    for (const Suite& suite : suites_of(release)) {
      sources += "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] " +
                 config::require_debian(config, suite.alias).front() + " " + suite.name + " main\n";
    }
    os::write_file(folder / "etc/apt/sources.list", sources);
    run({"update"});
  }

  /// "name version" of everything apt would install.
  std::set<std::string> install(const std::set<std::string>& names) {
    std::vector<std::string> arguments = {"install", "-s", "--no-install-recommends"};
    arguments.insert(arguments.end(), names.begin(), names.end());
    std::set<std::string> chosen;
    std::istringstream lines(run(arguments));
    for (std::string line; std::getline(lines, line);) {
      const auto words = split_words(line);
      if (words.size() > 2 && words[0] == "Inst") {
        chosen.insert(std::string(words[1].substr(0, words[1].find(':'))) + " " + std::string(words[2].substr(1)));
      }
    }
    return chosen;
  }

 private:
  std::string run(const std::vector<std::string>& arguments) {
    os::Command command;
    command.argv = {"apt-get"};
    for (const std::string& option :
         {"Dir=" + folder_.string(), "Dir::State::status=" + (folder_ / "status").string(),
          "Dir::State::lists=" + (folder_ / "lists").string(), "Dir::Cache=" + (folder_ / "cache").string(),
          std::string("APT::Architecture=amd64"), std::string("APT::Sandbox::User=root"),
          std::string("Dir::Etc::trustedparts=/nonexistent"), std::string("Acquire::Languages=none")}) {
      command.argv.insert(command.argv.end(), {"-o", option});
    }
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    std::map<std::string, std::string> env = {
        {"PATH", "/usr/bin:/bin:/usr/sbin:/sbin"}, {"LC_ALL", "C"}, {"APT_CONFIG", (folder_ / "empty.conf").string()}};
    for (const char* name : {"http_proxy", "https_proxy", "no_proxy"}) {
      if (const char* value = std::getenv(name)) {
        env[name] = value;
      }
    }
    command.env = env;
    return os::run_checked(command);
  }
  fs::path folder_;
};

const std::vector<std::string> kYardstick = {"python3", "python3-venv", "openssh-server",  "vim",  "rsync", "git",
                                             "curl",    "wget",         "ca-certificates", "less", "htop",  "tmux",
                                             "procps",  "locales"};

class AgainstApt : public Mirror, public testing::WithParamInterface<const char*> {};

TEST_P(AgainstApt, chooses_what_apt_chooses) {
  if (IsSkipped()) {
    return;
  }
  if (!fs::exists("/usr/bin/apt-get")) {
    GTEST_SKIP() << "apt-get is not installed";
  }
  const std::string release = GetParam();
  AptRoot apt(folder_.path() / "apt", release, config_);
  const std::vector<std::vector<std::string>> lists = {kYardstick,
                                                       {"build-essential", "gdb", "cmake"},
                                                       {"postgresql-client", "nginx", "redis-server"},
                                                       {"texlive-latex-base", "graphviz", "imagemagick"},
                                                       {"default-jre-headless", "maven"},
                                                       {"ffmpeg", "libgl1", "xauth"},
                                                       {"mutt", "emacs-nox", "man-db", "cron", "exim4-daemon-light"}};
  for (const std::vector<std::string>& names : lists) {
    std::set<std::string> ours;
    std::set<std::string> asked(names.begin(), names.end());
    for (const Candidate& candidate : solve_for(release, names, true).packages) {
      ours.insert(candidate.name + " " + candidate.version);
      if (candidate.why == "base") {
        asked.insert(candidate.name);
      }
    }
    EXPECT_EQ(ours, apt.install(asked)) << release << ": " << names.front() << "…";
  }
}
INSTANTIATE_TEST_SUITE_P(releases, AgainstApt, testing::Values("bullseye", "bookworm", "trixie"),
                         [](const auto& parameter) { return std::string(parameter.param); });

/// Everything of an item that enters an image, in one line.
std::string line_of(const codec::LayerItem& item) {
  std::string digest;
  if (const auto* file = std::get_if<codec::FileContent>(&item.content)) {
    digest = codec::sha256(os::Mapping(file->path).bytes()).hex();
  } else if (const auto* text = std::get_if<codec::InlineContent>(&item.content)) {
    digest = codec::sha256(text->bytes).hex();
  }
  const codec::TarEntry& e = item.entry;
  return format("{} {} {:o} {}:{} {} {} {} {}", e.path, static_cast<int>(e.type), e.mode, e.uid, e.gid, e.size, e.mtime,
                e.link, digest);
}

class Configured : public Mirror {
 protected:
  std::vector<Unpacked> unpack_all(const Solution& solution, const std::string& release, const launch::HostId& id) {
    std::vector<http::Download> jobs;
    for (const Candidate& c : solution.packages) {
      if (!store_->has_blob(c.sha256)) {
        http::Download job;
        for (const std::string& base : config::require_debian(config_, c.alias)) {
          job.urls.push_back(base + "/" + c.path);
        }
        job.target = store_->partial_path(c.sha256);
        job.size = c.size;
        job.sha256 = c.sha256;
        job.label = c.name;
        jobs.push_back(job);
      }
    }
    client_->download(jobs);
    for (const http::Download& job : jobs) {
      store_->adopt_blob(job.target, *job.sha256);
    }
    std::vector<Unpacked> packages(solution.packages.size());
    parallel_for(packages.size(), 0, [&](std::size_t i) {
      const Digest& digest = solution.packages[i].sha256;
      packages[i] = unpack(store_->blob_path(digest), digest, release, *store_, id);
    });
    return packages;
  }

  std::vector<std::string> configure_once(std::vector<Unpacked> packages, const std::string& release,
                                          std::int64_t epoch, const launch::HostId& id) {
    const std::vector<Overlap> overlaps = settle_overlaps(packages);
    const os::TempDir scratch = store_->temp_dir("configure-");
    const fs::path root = scratch.path() / "root";
    os::make_dirs(root);
    std::vector<std::vector<codec::LayerItem>> layers = {skeleton(release)};
    for (const Unpacked& package : packages) {
      layers.push_back(package.items);
    }
    layers.push_back(dpkg_database(packages));
    store::write_root(root, layers,
                      store::DiskOwner{static_cast<std::uint32_t>(id.uid), static_cast<std::uint32_t>(id.gid)},
                      launch::kOwnerRecord);
    launch::Sandbox::Options options;
    options.lower = root;
    options.scratch = scratch.path() / "scratch";
    os::make_dirs(options.scratch, 0700);
    options.id = id;
    options.epoch = epoch;
    launch::Sandbox sandbox(std::move(options), events_);
    std::vector<std::string> lines;
    for (const codec::LayerItem& item : configure(sandbox, packages, overlaps, release, events_)) {
      lines.push_back(line_of(item));
    }
    return lines;
  }
};

TEST_F(Configured, twice_the_same) {
  const std::string release = "bookworm";
  const launch::HostId id = launch::host_id(config_.root_host_id);
  const Solution solution = solve_for(release, {"openssh-server", "adduser"}, true);
  const std::vector<Unpacked> packages = unpack_all(solution, release, id);
  const std::vector<std::string> first = configure_once(packages, release, solution.epoch, id);
  const std::vector<std::string> second = configure_once(packages, release, solution.epoch, id);
  EXPECT_EQ(first, second);
  const auto has = [&](std::string_view start) {
    return std::any_of(first.begin(), first.end(), [&](const std::string& line) { return line.starts_with(start); });
  };
  EXPECT_TRUE(has("etc/passwd 0 644 0:0 "));
  EXPECT_TRUE(has("etc/shadow 0 640 0:42 "));
  EXPECT_TRUE(has("etc/ld.so.cache 0 644 0:0 "));
  EXPECT_TRUE(has("etc/ssl/certs/ca-certificates.crt 0 644 0:0 "));
  EXPECT_FALSE(has("etc/ssh/ssh_host_"));
  EXPECT_FALSE(has("usr/sbin/policy-rc.d"));
}

TEST_F(Configured, a_failing_script_is_named_with_what_it_said) {
  const std::string release = "bookworm";
  const launch::HostId id = launch::host_id(config_.root_host_id);
  const Solution solution = solve_for(release, {}, false);
  std::vector<Unpacked> packages = unpack_all(solution, release, id);
  for (Unpacked& package : packages) {
    for (auto& [name, text] : package.control_files) {
      if (package.name() == "netbase" && name == "postinst") {
        text = "#!/bin/sh\necho 'this is why'\nexit 3\n";
      }
    }
  }
  try {
    configure_once(packages, release, solution.epoch, id);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Invalid);
    ASSERT_GE(error.chain().size(), 3U);
    EXPECT_EQ(error.chain()[1], "package netbase: its postinst exited 3");
    EXPECT_NE(std::find(error.chain().begin(), error.chain().end(), "this is why"), error.chain().end());
  }
}

}  // namespace
}  // namespace slip::deb
