#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "core/error.h"
#include "deb/deb.h"
#include "deb/dpkg_db.h"
#include "deb/normalise.h"
#include "deb/order.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::deb {
namespace {

namespace fs = std::filesystem;
using codec::FileType;
using codec::LayerItem;
using testing::ElementsAre;
using testing::HasSubstr;

Unpacked package(const std::string& name, const std::string& fields = {}, const std::vector<std::string>& paths = {}) {
  Unpacked p;
  p.control_text = "Package: " + name +
                   "\nVersion: 1\nArchitecture: amd64\nMaintainer: a <a@example>\nDescription: d\n long \n" + fields;
  while (p.control_text.ends_with('\n')) {
    p.control_text.pop_back();
  }
  p.control = {{"Package", name}, {"Version", "1"}, {"Architecture", "amd64"}};
  std::string rest = fields;
  for (std::size_t end = rest.find('\n'); end != std::string::npos; end = rest.find('\n')) {
    const std::size_t colon = rest.find(": ");
    p.control[rest.substr(0, colon)] = rest.substr(colon + 2, end - colon - 2);
    rest.erase(0, end + 1);
  }
  p.shipped = {"/."};
  for (const std::string& path : paths) {
    LayerItem item;
    item.entry.path = path;
    item.entry.mtime = 5;
    p.items.push_back(item);
    p.shipped.push_back("/" + path);
  }
  return p;
}

std::map<std::string, std::string> files_of(const std::vector<LayerItem>& items) {
  std::map<std::string, std::string> files;
  for (const LayerItem& item : items) {
    if (const auto* text = std::get_if<codec::InlineContent>(&item.content)) {
      files[item.entry.path] = text->bytes;
    }
  }
  return files;
}

TEST(dpkg_database, holds_what_dpkg_expects_of_unpacked_packages) {
  Unpacked a = package("a", "Multi-Arch: same\n", {"etc/a"});
  a.conffiles = {{"/etc/a", "401b30e3b8b5d629635a5c613cdb7919"}};
  a.control_files = {{"conffiles", "/etc/a\n"}, {"postinst", "#!/bin/sh\n"}};
  Unpacked b = package("b", "Status: nonsense\n");
  b.control_files = {{"triggers", "# remark\ninterest-noawait ldconfig\ninterest /usr/lib/x\nactivate-noawait y\n"}};
  const std::vector<Unpacked> set = {a, b};
  const auto items = dpkg_database(set);
  const auto files = files_of(items);
  EXPECT_EQ(files.at("var/lib/dpkg/status"),
            "Package: a\nStatus: install ok unpacked\nVersion: 1\nArchitecture: amd64\nMaintainer: a "
            "<a@example>\nDescription: d\n long \n"
            "Multi-Arch: same\nConffiles:\n /etc/a 401b30e3b8b5d629635a5c613cdb7919\n\n"
            "Package: b\nStatus: install ok unpacked\nVersion: 1\nArchitecture: amd64\nMaintainer: a "
            "<a@example>\nDescription: d\n long \n\n");
  EXPECT_EQ(files.at("var/lib/dpkg/info/a:amd64.list"), "/.\n/etc/a\n");
  EXPECT_EQ(files.at("var/lib/dpkg/info/a:amd64.postinst"), "#!/bin/sh\n");
  EXPECT_EQ(files.at("var/lib/dpkg/info/b.list"), "/.\n");
  EXPECT_EQ(files.at("var/lib/dpkg/info/format"), "1\n");
  EXPECT_EQ(files.at("var/lib/dpkg/triggers/File"), "/usr/lib/x b\n");
  EXPECT_EQ(files.at("var/lib/dpkg/triggers/ldconfig"), "b/noawait\n");
  EXPECT_FALSE(files.contains("var/lib/dpkg/triggers/y"));
  EXPECT_EQ(files.at("var/lib/dpkg/available"), "");
  for (const LayerItem& item : items) {
    EXPECT_EQ(item.entry.mode,
              item.entry.type == FileType::Directory || item.entry.path.ends_with("postinst") ? 0755U : 0644U)
        << item.entry.path;
  }
}

TEST(dpkg_database, triggers_cannot_lead_out) {
  Unpacked a = package("a");
  a.control_files = {{"triggers", "interest ../../../etc/passwd\n"}};
  EXPECT_THROW(dpkg_database(std::vector<Unpacked>{a}), Error);
}

TEST(dpkg_database, dpkg_reads_it) {
  if (!fs::exists("/usr/bin/dpkg-query")) {
    GTEST_SKIP() << "dpkg-query is not installed";
  }
  const os::TempDir folder(fs::temp_directory_path(), "slip-deb-");
  const std::vector<Unpacked> set = {package("a", "Multi-Arch: same\n", {"etc/a"}),
                                     package("b", "Depends: a\n", {"etc/b"})};
  for (const LayerItem& item : dpkg_database(set)) {
    const fs::path path = folder.path() / item.entry.path;
    if (item.entry.type == FileType::Directory) {
      os::make_dirs(path);
    } else {
      os::make_dirs(path.parent_path());
      os::write_file(path, std::get<codec::InlineContent>(item.content).bytes);
    }
  }
  const auto query = [&](std::vector<std::string> arguments) {
    os::Command command;
    command.argv = {"dpkg-query", "--admindir=" + (folder.path() / "var/lib/dpkg").string()};
    command.argv.insert(command.argv.end(), arguments.begin(), arguments.end());
    return os::run_checked(command);
  };
  EXPECT_EQ(query({"-W", "-f", "${Package} ${Version} ${Status}\\n"}),
            "a 1 install ok unpacked\nb 1 install ok unpacked\n");
  EXPECT_EQ(query({"-L", "a:amd64"}), "/.\n/etc/a\n");
  EXPECT_EQ(query({"-S", "/etc/b"}), "b: /etc/b\n");
}

TEST(overlaps, a_path_belongs_to_one_package) {
  std::vector<Unpacked> good = {package("a", "", {"etc/a"}), package("b", "", {"etc/b"})};
  EXPECT_TRUE(settle_overlaps(good).empty());
  std::vector<Unpacked> bad = {package("a", "", {"etc/x"}), package("b", "", {"etc/x"})};
  try {
    settle_overlaps(bad);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::Conflict);
    EXPECT_THAT(error.joined(), HasSubstr("`/etc/x` is shipped by a and b"));
  }
}

TEST(overlaps, folders_are_shared_but_not_with_files) {
  std::vector<Unpacked> set = {package("a", "", {"x"}), package("b", "Replaces: a\n", {"x"})};
  set[0].items[0].entry.type = FileType::Directory;
  EXPECT_THROW(settle_overlaps(set), Error);
  set[1].items[0].entry.type = FileType::Directory;
  EXPECT_TRUE(settle_overlaps(set).empty());
}

/// Whichever comes first in the set.
TEST(overlaps, who_replaces_a_file_keeps_it) {
  const std::vector<Unpacked> either_way[] = {
      {package("a", "", {"x", "y"}), package("b", "Replaces: a (<< 2)\n", {"x"})},
      {package("b", "Replaces: a (<< 2)\n", {"x"}), package("a", "", {"x", "y"})}};
  for (std::vector<Unpacked> set : either_way) {
    const std::vector<Overlap> overlaps = settle_overlaps(set);
    ASSERT_EQ(overlaps.size(), 1U);
    EXPECT_EQ(set[overlaps[0].winner].name(), "b");
    EXPECT_FALSE(overlaps[0].diverted);
    const Unpacked& a = set[overlaps[0].loser];
    ASSERT_EQ(a.items.size(), 1U);
    EXPECT_EQ(a.items[0].entry.path, "y");
    EXPECT_THAT(a.shipped, testing::Not(testing::Contains("/x")));
    EXPECT_EQ(set[overlaps[0].winner].items.size(), 1U);
    EXPECT_TRUE(settle_overlaps(set).empty()) << "a second time there is nothing to settle";
  }
  std::vector<Unpacked> too_new = {package("a", "", {"x"}), package("b", "Replaces: a (<< 1)\n", {"x"})};
  EXPECT_THROW(settle_overlaps(too_new), Error);
}

TEST(overlaps, a_diverted_file_stays_in_its_package) {
  std::vector<Unpacked> set = {package("big", "", {"usr/doc/help"}), package("tiny", "", {"usr/doc/help"})};
  set[0].control_files.emplace_back("preinst", "dpkg-divert --add --rename --divert /usr/doc/help.tiny /usr/doc/help");
  const std::vector<Overlap> overlaps = settle_overlaps(set);
  ASSERT_EQ(overlaps.size(), 1U);
  EXPECT_TRUE(overlaps[0].diverted);
  EXPECT_EQ(set[overlaps[0].winner].name(), "big");
  EXPECT_TRUE(set[1].items.empty());
  EXPECT_THAT(set[1].shipped, testing::Contains("/usr/doc/help"));
}

std::vector<std::string> names(const std::vector<std::size_t>& order, const std::vector<Unpacked>& set) {
  std::vector<std::string> found;
  for (const std::size_t i : order) {
    found.push_back(set[i].name());
  }
  return found;
}

TEST(order, essential_closure_first_then_dependencies_before_dependants) {
  const std::vector<Unpacked> set = {
      package("app", "Depends: zlib, virtual\n"), package("base", "Essential: yes\nDepends: libc | other\n"),
      package("libc"), package("provider", "Provides: virtual (= 1)\n"), package("zlib", "Pre-Depends: libc\n")};
  const ConfigureOrder order = configure_order(set);
  EXPECT_THAT(names(order.essential, set), ElementsAre("libc", "base"));
  EXPECT_THAT(names(order.rest, set), ElementsAre("zlib", "provider", "app"));
  EXPECT_THAT(order.pre_depends[4], ElementsAre(2U));
}

TEST(order, cycles_end_and_do_not_depend_on_the_order_of_the_list) {
  std::vector<Unpacked> set = {package("a", "Depends: b\n"), package("b", "Depends: c\n"), package("c", "Depends: a\n"),
                               package("d")};
  const auto first = names(configure_order(set).rest, set);
  EXPECT_THAT(first, ElementsAre("c", "b", "a", "d"));
  std::reverse(set.begin(), set.end());
  EXPECT_EQ(names(configure_order(set).rest, set), first);
}

TEST(normalise, table) {
  EXPECT_EQ(rule_for("etc/ssh/ssh_host_rsa_key"), Rule::Drop);
  EXPECT_EQ(rule_for("etc/ssh/ssh_host_rsa_key.pub"), Rule::Drop);
  EXPECT_EQ(rule_for("etc/ssh/sshd_config"), Rule::Keep);
  EXPECT_EQ(rule_for("etc/machine-id"), Rule::Empty);
  EXPECT_EQ(rule_for("var/cache/man"), Rule::Keep);
  EXPECT_EQ(rule_for("var/cache/man/de/index.db"), Rule::Drop);
  EXPECT_EQ(rule_for("var/lib/postgresql/15/main"), Rule::Keep);
  EXPECT_EQ(rule_for("var/lib/postgresql/15/main/PG_VERSION"), Rule::Refuse);
  EXPECT_EQ(rule_for("etc/ld.so.cache"), Rule::Keep);
  EXPECT_EQ(rule_for("etc/passwd-"), Rule::Drop);
  EXPECT_EQ(rule_for("usr/share/fonts/truetype/dejavu/.uuid"), Rule::Drop);
}

launch::Sandbox::Change change(const std::string& path, FileType type, std::uint32_t mode, std::uint64_t size = 0,
                               launch::Sandbox::Change::Kind kind = launch::Sandbox::Change::Kind::Written) {
  launch::Sandbox::Change c;
  c.kind = kind;
  c.entry.path = path;
  c.entry.type = type;
  c.entry.mode = mode;
  c.entry.size = size;
  c.content = "/upper/" + path;
  return c;
}

TEST(normalise, changes_become_items) {
  using Kind = launch::Sandbox::Change::Kind;
  launch::Sandbox::Change hash = change("etc/ssl/certs/12345678.0", FileType::Symlink, 0777);
  hash.entry.link = "ssl-cert-snakeoil.pem";
  const auto items =
      normalised({change("etc/machine-id", FileType::Regular, 0444, 33),
                  change("etc/passwd", FileType::Regular, 0644, 10), change("etc/passwd-", FileType::Regular, 0644, 10),
                  hash, change("usr/bin/ssh-agent", FileType::Regular, 02755, 5),
                  change("usr/gone", FileType::Regular, 0, 0, Kind::Removed),
                  change("var/new", FileType::Directory, 02755, 0, Kind::Replaced)});
  std::map<std::string, const LayerItem*> by_path;
  for (const LayerItem& item : items) {
    by_path[item.entry.path] = &item;
  }
  EXPECT_EQ(by_path.size(), 6U);
  EXPECT_EQ(by_path.at("etc/machine-id")->entry.size, 0U);
  EXPECT_TRUE(std::holds_alternative<codec::NoContent>(by_path.at("etc/machine-id")->content));
  EXPECT_EQ(std::get<codec::FileContent>(by_path.at("etc/passwd")->content).path, "/upper/etc/passwd");
  EXPECT_EQ(by_path.at("usr/bin/ssh-agent")->entry.mode, 0755U);
  EXPECT_EQ(by_path.at("var/new")->entry.mode, 02755U);
  EXPECT_TRUE(by_path.contains("usr/.wh.gone"));
  EXPECT_TRUE(by_path.contains("var/new/.wh..wh..opq"));
}

TEST(normalise, what_is_as_shipped_is_no_change) {
  Unpacked shipped = package("a", "", {"etc/a", "etc/b", "etc"});
  shipped.items[2].entry.type = FileType::Directory;
  shipped.items[2].entry.mode = 0755;
  const std::vector<Unpacked> set = {shipped};
  EXPECT_TRUE(
      normalised({change("etc", FileType::Directory, 0755), change("etc/a", FileType::Regular, 0644)}, set).empty());
  EXPECT_EQ(
      normalised({change("etc", FileType::Directory, 0700), change("etc/a", FileType::Regular, 0600)}, set).size(), 2U);
  EXPECT_EQ(normalised({change("etc/c", FileType::Regular, 0644)}, set).size(), 1U);
}

TEST(normalise, data_made_at_install_time_is_refused) {
  EXPECT_THROW(normalised({change("var/lib/mysql/ibdata1", FileType::Regular, 0600, 5)}), Error);
  EXPECT_THROW(normalised({change("run/pipe", FileType::Fifo, 0600)}), Error);
}

}  // namespace
}  // namespace slip::deb
