#include "deb/archive.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/sha256.h"
#include "core/error.h"
#include "deb/manifest.h"
#include "os/file.h"
#include "os/process.h"
#include "store/store.h"

namespace slip::deb {
namespace {

namespace fs = std::filesystem;
using codec::FileType;
using codec::TarEntry;
using testing::ElementsAre;
using testing::HasSubstr;

/// An ar member: 60 bytes of header, the content, and a line break where the size is odd.
std::string ar_member(const std::string& name, const std::string& content) {
  std::string header = format("{:<16}{:<12}{:<6}{:<6}{:<8}{:<10}`\n", name, "0", "0", "0", "100644", content.size());
  return header + content + (content.size() % 2 != 0 ? "\n" : "");
}

std::string tar_of(const std::vector<std::pair<TarEntry, std::string>>& entries) {
  std::string tar;
  for (auto [entry, content] : entries) {
    entry.size = content.size();
    tar += codec::tar_header(entry) + content + std::string(codec::tar_padding(content.size()), '\0');
  }
  return tar + codec::tar_end();
}

TarEntry entry(std::string path, FileType type, std::uint32_t mode, std::string link = {}) {
  TarEntry e;
  e.path = std::move(path);
  e.type = type;
  e.mode = mode;
  e.link = std::move(link);
  e.mtime = 1000;
  return e;
}

class Deb : public testing::Test {
 protected:
  fs::path write(const std::string& control, const std::vector<std::pair<TarEntry, std::string>>& data,
                 const std::vector<std::pair<std::string, std::string>>& more = {}) {
    std::vector<std::pair<TarEntry, std::string>> files = {{entry("control", FileType::Regular, 0644), control}};
    for (const auto& [name, text] : more) {
      files.emplace_back(entry(name, FileType::Regular, 0755), text);
    }
    const fs::path path = folder_.path() / format("{}.deb", number_++);
    os::write_file(path, "!<arch>\n" + ar_member("debian-binary", "2.0\n") + ar_member("control.tar", tar_of(files)) +
                             ar_member("data.tar", tar_of(data)));
    return path;
  }
  Unpacked read(const fs::path& deb, bool merged = false) {
    return read_deb(deb, folder_.path() / format("tree{}", number_++), merged, std::nullopt);
  }
  void expect_invalid(const std::vector<std::pair<TarEntry, std::string>>& data, const std::string& message) {
    try {
      read(write(kControl, data));
      FAIL() << message;
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::Invalid);
      EXPECT_THAT(error.joined(), HasSubstr(message));
    }
  }
  static std::vector<std::string> paths(const Unpacked& package) {
    std::vector<std::string> found;
    for (const codec::LayerItem& item : package.items) {
      found.push_back(item.entry.path);
    }
    return found;
  }
  static constexpr const char* kControl = "Package: demo\nVersion: 1-1\nArchitecture: amd64\nDescription: d \n long\n";
  os::TempDir folder_{fs::temp_directory_path(), "slip-deb-"};
  int number_ = 0;
};

TEST_F(Deb, files_lie_on_the_disk_and_everything_else_in_items) {
  const Unpacked package = read(write(kControl, {{entry("etc", FileType::Directory, 0755), ""},
                                                 {entry("etc/demo", FileType::Regular, 0640), "x"},
                                                 {entry("etc/empty", FileType::Regular, 0644), ""},
                                                 {entry("etc/link", FileType::Symlink, 0777, "/nowhere"), ""},
                                                 {entry("etc/pipe", FileType::Fifo, 0600), ""},
                                                 {entry("etc/null", FileType::CharDevice, 0666), ""}}));
  EXPECT_THAT(paths(package), ElementsAre("etc", "etc/demo", "etc/empty", "etc/link", "etc/null", "etc/pipe"));
  EXPECT_THAT(package.shipped,
              ElementsAre("/.", "/etc", "/etc/demo", "/etc/empty", "/etc/link", "/etc/pipe", "/etc/null"));
  const fs::path root = package.folder / "root";
  EXPECT_EQ(os::read_file(root / "etc/demo"), "x");
  EXPECT_EQ(std::get<codec::FileContent>(package.items[1].content).path, root / "etc/demo");
  EXPECT_TRUE(std::holds_alternative<codec::NoContent>(package.items[2].content));
  EXPECT_FALSE(fs::exists(fs::symlink_status(root / "etc/link")));
  EXPECT_FALSE(fs::exists(root / "etc/pipe"));
  EXPECT_EQ(fs::status(root / "etc/demo").permissions(), fs::perms(0640));
  EXPECT_EQ(package.name(), "demo");
  EXPECT_THAT(package.control_text, HasSubstr("Description: d \n long"));  // blanks at line ends are dpkg's to keep
}

TEST_F(Deb, set_id_bits_go_from_files_and_stay_on_folders) {
  const Unpacked package = read(
      write(kControl, {{entry("d", FileType::Directory, 02775), ""}, {entry("d/su", FileType::Regular, 06755), "x"}}));
  EXPECT_EQ(package.items[0].entry.mode, 02775U);
  EXPECT_EQ(package.items[1].entry.mode, 0755U);
  struct stat there{};
  ASSERT_EQ(::stat((package.folder / "root/d/su").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 07777, 0755U);
}

TEST_F(Deb, the_first_of_hard_links_holds_the_bytes) {
  const Unpacked package = read(write(kControl, {{entry("m", FileType::Regular, 0755), "bytes"},
                                                 {entry("z", FileType::HardLink, 0755, "m"), ""},
                                                 {entry("b", FileType::HardLink, 0755, "m"), ""}}));
  ASSERT_THAT(paths(package), ElementsAre("b", "m", "z"));
  EXPECT_EQ(package.items[0].entry.type, FileType::Regular);
  EXPECT_EQ(os::read_file(package.folder / "root/b"), "bytes");
  EXPECT_EQ(std::get<codec::FileContent>(package.items[0].content).path, package.folder / "root/b");
  for (const int i : {1, 2}) {
    EXPECT_EQ(package.items[static_cast<std::size_t>(i)].entry.type, FileType::HardLink);
    EXPECT_EQ(package.items[static_cast<std::size_t>(i)].entry.link, "b");
  }
  EXPECT_THAT(package.shipped, ElementsAre("/.", "/m", "/z", "/b"));
}

TEST_F(Deb, merged_usr_moves_paths_but_not_what_dpkg_records) {
  const std::vector<std::pair<TarEntry, std::string>> data = {
      {entry("bin", FileType::Directory, 0755), ""},
      {entry("bin/sh", FileType::Regular, 0755), "x"},
      {entry("bin/rsh", FileType::HardLink, 0755, "bin/sh"), ""},
      {entry("lib64", FileType::Symlink, 0777, "usr/lib64"), ""},
      {entry("libexec", FileType::Directory, 0755), ""},
      {entry("usr/bin", FileType::Directory, 0755), ""},
      {entry("usr/bin/x", FileType::Regular, 0755), "y"}};
  const fs::path deb = write(kControl, data);
  const Unpacked merged = read(deb, true);
  EXPECT_THAT(paths(merged), ElementsAre("libexec", "usr/bin", "usr/bin/rsh", "usr/bin/sh", "usr/bin/x"));
  EXPECT_EQ(merged.items[3].entry.link, "usr/bin/rsh");
  EXPECT_THAT(merged.shipped, testing::Contains("/bin/sh"));
  EXPECT_THAT(paths(read(deb)), ElementsAre("bin", "bin/rsh", "bin/sh", "lib64", "libexec", "usr/bin", "usr/bin/x"));
}

TEST_F(Deb, rare_folders_bring_their_link) {
  const Unpacked package = read(write(kControl, {{entry("lib32", FileType::Directory, 0755), ""},
                                                 {entry("lib32/ld.so", FileType::Regular, 0755), "x"}}),
                                true);
  ASSERT_THAT(paths(package), ElementsAre("lib32", "usr/lib32", "usr/lib32/ld.so"));
  EXPECT_EQ(package.items[0].entry.link, "usr/lib32");
}

TEST_F(Deb, configuration_files_and_missing_md5sums) {
  const Unpacked package = read(
      write(kControl,
            {{entry("etc/demo", FileType::Regular, 0644), "x\n"}, {entry("usr/demo", FileType::Regular, 0644), "y\n"}},
            {{"conffiles", "/etc/demo\nremove-on-upgrade /etc/old\n"}}));
  EXPECT_THAT(package.conffiles, ElementsAre(testing::Pair("/etc/demo", "401b30e3b8b5d629635a5c613cdb7919"),
                                             testing::Pair("/etc/old", "newconffile remove-on-upgrade")));
  ASSERT_NE(package.control_file("md5sums"), nullptr);
  EXPECT_EQ(*package.control_file("md5sums"), "009520053b00386d1173f3988c55d192  usr/demo\n");
}

TEST_F(Deb, archives_that_mean_harm_are_refused) {
  expect_invalid({{entry("a", FileType::Symlink, 0777, "/etc"), ""}, {entry("a/passwd", FileType::Regular, 0644), "x"}},
                 "below a path that is no folder");
  expect_invalid({{entry("a", FileType::Regular, 0644), "x"}, {entry("a", FileType::Regular, 0644), "y"}}, "twice");
  expect_invalid({{entry("a", FileType::Directory, 0755), ""}, {entry("a", FileType::Symlink, 0777, "/etc"), ""}},
                 "twice");
  expect_invalid({{entry("a", FileType::HardLink, 0644, "etc/shadow"), ""}}, "which it does not ship");
  expect_invalid({{entry("a\nb", FileType::Regular, 0644), "x"}}, "line break");
  EXPECT_THROW(read(write("Package: ../x\nVersion: 1\nArchitecture: all\n", {})), Error);
  EXPECT_THROW(read(write("Package: x\nArchitecture: all\n", {})), Error);
  EXPECT_THROW(read(write(kControl, {}, {{"../../x", "evil"}})), Error);
  EXPECT_THROW(read(write(kControl, {}, {{"conffiles", "/etc/not-there\n"}})), Error);
  const fs::path text = folder_.path() / "text.deb";
  os::write_file(text, "no package");
  EXPECT_THROW(read(text), Error);
}

TEST_F(Deb, a_manifest_gives_back_what_was_written) {
  const Unpacked package = read(write(kControl,
                                      {{entry("etc", FileType::Directory, 0755), ""},
                                       {entry("etc/demo", FileType::Regular, 0640), "x"},
                                       {entry("etc/link", FileType::Symlink, 0777, "demo"), ""}},
                                      {{"postinst", "#!/bin/sh\n"}, {"conffiles", "/etc/demo\n"}}));
  const std::string manifest = write_manifest(package);
  const Unpacked again = read_manifest(manifest, package.folder);
  ASSERT_EQ(again.items.size(), package.items.size());
  for (std::size_t i = 0; i < again.items.size(); ++i) {
    EXPECT_EQ(again.items[i].entry, package.items[i].entry);
    EXPECT_EQ(again.items[i].content, package.items[i].content);
  }
  EXPECT_EQ(again.control, package.control);
  EXPECT_EQ(again.control_text, package.control_text);
  EXPECT_EQ(again.control_files, package.control_files);
  EXPECT_EQ(again.shipped, package.shipped);
  EXPECT_EQ(again.conffiles, package.conffiles);
  for (std::size_t size = 0; size < manifest.size(); ++size) {
    EXPECT_THROW(read_manifest(std::string_view(manifest).substr(0, size), package.folder), Error) << size;
  }
}

TEST_F(Deb, the_store_keeps_a_tree_per_package) {
  store::Store store(folder_.path() / "store");
  const fs::path deb = write(kControl, {{entry("usr/demo", FileType::Regular, 0644), "x"}});
  const Digest digest = codec::sha256(os::read_file(deb));
  const launch::HostId id = launch::host_id(65432);
  const Unpacked first = unpack(deb, digest, "bullseye", store, id);
  fs::remove(deb);  // a second call must not need it
  const Unpacked second = unpack(deb, digest, "bullseye", store, id);
  EXPECT_EQ(first.folder, second.folder);
  ASSERT_EQ(second.items.size(), 1U);
  EXPECT_EQ(os::read_file(std::get<codec::FileContent>(second.items[0].content).path), "x");
  if (::geteuid() == 0) {
    struct stat there{};
    ASSERT_EQ(::stat((first.folder / "root/usr/demo").c_str(), &there), 0);
    EXPECT_EQ(there.st_uid, 65432U);
  }
}

TEST_F(Deb, dpkg_deb_packages_are_read_as_dpkg_deb_lists_them) {
  if (!fs::exists("/usr/bin/dpkg-deb")) {
    GTEST_SKIP() << "dpkg-deb is not installed";
  }
  const fs::path tree = folder_.path() / "build";
  os::make_dirs(tree / "DEBIAN");
  os::make_dirs(tree / "usr/share/demo with blank");
  os::write_file(tree / "DEBIAN/control",
                 "Package: demo\nVersion: 1\nArchitecture: all\nMaintainer: a <a@example>\nDescription: d\n");
  os::write_file(tree / "usr/share/demo with blank/file", std::string(100'000, 'x'));
  fs::create_symlink("file", tree / "usr/share/demo with blank/link");
  for (const char* compression : {"xz", "gzip", "zstd", "none"}) {
    const fs::path deb = folder_.path() / (std::string(compression) + ".deb");
    os::Command build;
    build.argv = {"dpkg-deb", "--root-owner-group", std::string("-Z") + compression,
                  "--build",  tree.string(),        deb.string()};
    os::run_checked(build);
    const Unpacked package = read(deb);
    os::Command list;
    list.argv = {"sh", "-c", "dpkg-deb --fsys-tarfile \"$1\" | tar -t", "sh", deb.string()};
    std::string shipped;
    for (const std::string& path : package.shipped) {
      const bool is_folder = path == "/." || fs::is_directory(fs::symlink_status(tree / path.substr(1)));
      shipped += (path == "/." ? "./" : "." + path + (is_folder ? "/" : "")) + "\n";
    }
    EXPECT_EQ(shipped, os::run_checked(list)) << compression;
    EXPECT_EQ(os::read_file(package.folder / "root/usr/share/demo with blank/file"), std::string(100'000, 'x'));
  }
}

TEST(skeleton, has_the_links_of_merged_releases_only) {
  const auto links = [](const std::string& release) {
    std::vector<std::string> found;
    for (const codec::LayerItem& item : skeleton(release)) {
      if (item.entry.type == FileType::Symlink) {
        found.push_back(item.entry.path + " -> " + item.entry.link);
      }
    }
    return found;
  };
  EXPECT_THAT(links("bullseye"), ElementsAre());
  EXPECT_THAT(links("bookworm"),
              ElementsAre("bin -> usr/bin", "lib -> usr/lib", "lib64 -> usr/lib64", "sbin -> usr/sbin"));
}

}  // namespace
}  // namespace slip::deb
