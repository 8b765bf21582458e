#include "inspect/verify.h"

#include <gtest/gtest.h>

#include <functional>

#include "codec/sha256.h"
#include "inspect/tree.h"

namespace slip::inspect {
namespace {

std::vector<LayerEntry> layer() {
  LayerEntry file;
  file.entry.path = "usr/bin/x";
  file.entry.size = 1;
  file.sha256 = codec::sha256("x");
  LayerEntry link;
  link.entry.path = "usr/bin/y";
  link.entry.type = codec::FileType::Symlink;
  link.entry.link = "x";
  return {file, link};
}

TEST(FirstDifference, NamesPathAndField) {
  EXPECT_FALSE(first_difference(layer(), layer()));
  struct Case {
    const char* field;
    std::function<void(std::vector<LayerEntry>&)> change;
  };
  const std::vector<Case> cases = {
      {"type", [](auto& l) { l[0].entry.type = codec::FileType::Directory; }},
      {"size", [](auto& l) { l[0].entry.size = 2; }},
      {"content", [](auto& l) { l[0].sha256 = codec::sha256("y"); }},
      {"mode", [](auto& l) { l[0].entry.mode = 0755; }},
      {"owner", [](auto& l) { l[0].entry.gid = 7; }},
      {"mtime", [](auto& l) { l[0].entry.mtime = 1; }},
      {"xattrs", [](auto& l) { l[0].entry.xattrs["user.a"] = "b"; }},
      {"presence", [](auto& l) { l.erase(l.begin()); }},
  };
  for (const Case& c : cases) {
    std::vector<LayerEntry> other = layer();
    c.change(other);
    const auto found = first_difference(layer(), other);
    ASSERT_TRUE(found) << c.field;
    EXPECT_EQ(found->field, c.field);
    EXPECT_EQ(found->path, "usr/bin/x");
    EXPECT_NE(found->expected, found->actual);
  }
  std::vector<LayerEntry> other = layer();
  other[1].entry.link = "z";
  EXPECT_EQ(first_difference(layer(), other)->field, "link");
  // The first by path, whatever the order of entries.
  other[0].entry.mode = 0700;
  std::swap(other[0], other[1]);
  EXPECT_EQ(first_difference(layer(), other)->path, "usr/bin/x");
}

TEST(Tree, WhiteoutsAndReplacedFolders) {
  Tree tree;
  const auto put = [&](const char* path, codec::FileType type) {
    TreeFile file;
    file.entry.path = path;
    file.entry.type = type;
    apply(tree, std::move(file));
  };
  const auto paths = [&] {
    std::string all;
    for (const auto& [path, file] : tree.files) {
      all += path + " ";
    }
    return all;
  };
  put("a", codec::FileType::Directory);
  put("a/b", codec::FileType::Directory);
  put("a/b/c", codec::FileType::Regular);
  put("a-b", codec::FileType::Regular);
  put("a/.wh.b", codec::FileType::Regular);
  EXPECT_EQ(paths(), "a a-b ");
  put("a/d", codec::FileType::Regular);
  put("a/.wh..wh..opq", codec::FileType::Regular);
  EXPECT_EQ(paths(), "a a-b ");
  put("a/e", codec::FileType::Regular);
  put("a", codec::FileType::Symlink);
  EXPECT_EQ(paths(), "a a-b ");
  put(".wh.a", codec::FileType::Regular);
  EXPECT_EQ(paths(), "a-b ");
}

}  // namespace
}  // namespace slip::inspect
