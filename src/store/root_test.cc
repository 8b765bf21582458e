#include "store/root.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "core/error.h"
#include "os/file.h"

namespace slip::store {
namespace {

using codec::FileType;
using codec::LayerItem;

LayerItem folder(std::string path, std::uint32_t mode = 0755) {
  LayerItem item;
  item.entry.path = std::move(path);
  item.entry.type = FileType::Directory;
  item.entry.mode = mode;
  return item;
}

LayerItem text(std::string path, std::string bytes, std::uint32_t mode = 0644) {
  LayerItem item;
  item.entry.path = std::move(path);
  item.entry.mode = mode;
  item.entry.size = bytes.size();
  item.content = codec::InlineContent{std::move(bytes)};
  return item;
}

LayerItem link(std::string path, std::string target) {
  LayerItem item;
  item.entry.path = std::move(path);
  item.entry.type = FileType::Symlink;
  item.entry.link = std::move(target);
  return item;
}

class Root : public testing::Test {
 protected:
  os::TempDir dir_{std::filesystem::temp_directory_path(), "root-test-"};
  std::string read(const std::string& path) { return os::read_file(dir_.path() / path); }
};

TEST_F(Root, LaterLayersReplaceAndWhiteoutsRemove) {
  const std::vector<std::vector<LayerItem>> layers = {
      {folder("a"), text("a/gone", "1"), text("a/kept", "2"), folder("b"), text("b/x", "3"), text("c", "4")},
      {folder("a"), text("a/.wh.gone", ""), folder("b"), text("b/.wh..wh..opq", ""), text("b/y", "5"), folder("c"),
       text("c/in", "6")},
  };
  write_root(dir_.path(), layers, std::nullopt);
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "a/gone"));
  EXPECT_EQ(read("a/kept"), "2");
  EXPECT_FALSE(std::filesystem::exists(dir_.path() / "b/x"));
  EXPECT_EQ(read("b/y"), "5");
  EXPECT_EQ(read("c/in"), "6");
}

TEST_F(Root, AFolderNobodyMayWriteIsStillFilled) {
  const std::vector<std::vector<LayerItem>> layers = {{folder("ro", 0555), text("ro/file", "x", 0400)}};
  write_root(dir_.path(), layers, std::nullopt);
  struct stat there{};
  ASSERT_EQ(::stat((dir_.path() / "ro").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 07777U, 0555U);
  EXPECT_EQ(read("ro/file"), "x");
}

TEST_F(Root, FilesOfTreesAreLinkedNotCopied) {
  os::TempDir tree(std::filesystem::temp_directory_path(), "root-tree-");
  os::write_file(tree.path() / "f", "content");
  LayerItem item = text("f", "");
  item.entry.size = 7;
  item.content = codec::FileContent{tree.path() / "f"};
  const std::vector<std::vector<LayerItem>> layers = {{item}};
  write_root(dir_.path(), layers, std::nullopt);
  EXPECT_TRUE(std::filesystem::equivalent(tree.path() / "f", dir_.path() / "f"));
}

TEST_F(Root, NothingIsWrittenThroughALink) {
  os::TempDir outside(std::filesystem::temp_directory_path(), "root-outside-");
  const std::vector<std::vector<LayerItem>> layers = {{link("door", outside.path().string())},
                                                      {text("door/file", "x")}};
  EXPECT_THROW(write_root(dir_.path(), layers, std::nullopt), Error);
  EXPECT_TRUE(std::filesystem::is_empty(outside.path()));
}

LayerItem hard_link(std::string path, std::string target) {
  LayerItem item = link(std::move(path), std::move(target));
  item.entry.type = FileType::HardLink;
  return item;
}

TEST_F(Root, ForeignLayersMayLeadThroughLinksButNotOut) {
  const os::TempDir outside(std::filesystem::temp_directory_path(), "root-outside-");
  os::write_file(outside.path() / "file", "of the host", 0600);
  const std::string away = outside.path().string();
  const std::vector<std::vector<LayerItem>> layers = {
      {link("lib", "usr/lib"), link("host", away), link("up", "../../.."), folder("d"), folder("d/inner", 0700)},
      {text("lib/x", "1"), text("host/file", "2"), text("up/y", "3"), text("no/parents/z", "4"), link("d", away)},
  };
  write_root(dir_.path(), layers.size(), [&](std::size_t i) { return layers[i]; }, std::nullopt, {}, Parents::Follow);
  EXPECT_EQ(read("usr/lib/x"), "1");
  EXPECT_EQ(read(away.substr(1) + "/file"), "2");
  EXPECT_EQ(read("y"), "3");
  EXPECT_EQ(read("no/parents/z"), "4");
  EXPECT_EQ(os::read_file(outside.path() / "file"), "of the host");
}

TEST_F(Root, HardLinksToTheHostAreRefused) {
  const os::TempDir outside(std::filesystem::temp_directory_path(), "root-outside-");
  os::write_file(outside.path() / "file", "of the host", 0600);
  for (const Parents parents : {Parents::Strict, Parents::Follow}) {
    const os::TempDir into(std::filesystem::temp_directory_path(), "root-test-");
    const std::vector<LayerItem> layer = {link("host", outside.path().string()), hard_link("stolen", "host/file")};
    EXPECT_THROW(write_root(into.path(), 1, [&](std::size_t) { return layer; }, std::nullopt, {}, parents), Error);
    EXPECT_FALSE(std::filesystem::exists(into.path() / "stolen"));
  }
}

TEST_F(Root, ModesAreNotSetThroughLinks) {
  const os::TempDir outside(std::filesystem::temp_directory_path(), "root-outside-");
  os::make_dirs(outside.path() / "b", 0700);
  const std::vector<std::vector<LayerItem>> layers = {{folder("a"), folder("a/b", 0777)},
                                                      {link("a", outside.path().string())}};
  write_root(dir_.path(), layers, std::nullopt);
  struct stat there{};
  ASSERT_EQ(::stat((outside.path() / "b").c_str(), &there), 0);
  EXPECT_EQ(there.st_mode & 07777U, 0700U);
}

}  // namespace
}  // namespace slip::store
