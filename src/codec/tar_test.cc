#include "codec/tar.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "codec/testing.h"

namespace slip::codec {
namespace {

using testing::HasSubstr;

/// An entry with its content.
struct Item {
  TarEntry entry;
  std::string content;
  bool operator==(const Item&) const = default;
};

std::vector<Item> read_all(std::string_view archive, const TarLimits& limits = {}) {
  MemorySource source(as_bytes(archive));
  TarReader reader(source, limits);
  std::vector<Item> items;
  while (auto entry = reader.next()) {
    Item item{*entry, ""};
    if (entry->type == FileType::Regular) {
      BytesSink content;
      copy_all(reader.content(), content);
      item.content = as_text(content.data);
    }
    items.push_back(std::move(item));
  }
  return items;
}

std::string archive_of(const std::vector<Item>& items) {
  std::string out;
  for (const Item& item : items) {
    out += tar_header(item.entry) + item.content + std::string(tar_padding(item.content.size()), '\0');
  }
  return out + tar_end();
}

Item file(std::string path, std::string content) {
  Item item;
  item.entry.path = std::move(path);
  item.entry.size = content.size();
  item.content = std::move(content);
  return item;
}

std::string refusal(std::string_view archive, const TarLimits& limits = {}) {
  return message(ErrorKind::Invalid, [&] { read_all(archive, limits); });
}

/// A header block with one field replaced and the checksum made right again.
std::string patched(std::string header, std::size_t at, std::string_view bytes) {
  header.replace(at, bytes.size(), bytes);
  header.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (const char c : header.substr(0, 512)) {
    sum += static_cast<unsigned char>(c);
  }
  char octal[9];
  std::snprintf(octal, sizeof octal, "%06o", sum);
  return header.replace(148, 8, std::string(octal, 6) + std::string("\0 ", 2));
}

std::vector<Item> every_kind() {
  std::vector<Item> items;
  const auto add = [&](std::string path, FileType type, std::string link = "") -> TarEntry& {
    Item item;
    item.entry.path = std::move(path);
    item.entry.type = type;
    item.entry.mode = type == FileType::Symlink ? 0777 : 0640;
    item.entry.link = std::move(link);
    item.entry.mtime = 1600000000;
    items.push_back(std::move(item));
    return items.back().entry;
  };
  add("dir", FileType::Directory).mode = 02755;
  add("dir/hard", FileType::HardLink, "file");
  add("dir/" + std::string(90, 'n') + "/" + std::string(90, 'm'), FileType::Fifo);
  add("dir/" + std::string(300, 'x'), FileType::Symlink, std::string(200, 'y'));
  TarEntry& null = add("dev/null", FileType::CharDevice);
  null.dev_major = 1;
  null.dev_minor = 3;
  TarEntry& disk = add("dev/disk", FileType::BlockDevice);
  disk.dev_major = 4095;
  disk.dev_minor = 1048575;
  TarEntry& old = add("größe", FileType::Directory);
  old.mtime = -1;
  old.uid = 4000000000;
  old.gid = 2097152;
  old.xattrs = {{"user.a", "x=\n"}, {"security.capability", std::string("\1\0\0\2", 4)}};
  items.push_back(file("file", "hello"));
  items.push_back(file("file2", std::string(512, 'z')));
  items.push_back(file("empty", ""));
  return items;
}

TEST(Tar, WhatIsWrittenIsReadAgain) {
  const std::vector<Item> items = every_kind();
  EXPECT_EQ(read_all(archive_of(items)), items);
}

TEST(Tar, NamesAtTheBordersOfUstar) {
  for (std::size_t size : {3U, 99U, 100U, 101U, 155U, 156U, 254U, 255U, 256U, 257U, 1000U}) {
    for (std::size_t slash : {std::size_t{0}, std::size_t{1}, std::size_t{98}, std::size_t{154}, std::size_t{155},
                              std::size_t{156}, size - 2}) {
      std::string path(size, 'p');
      if (slash > 0 && slash + 1 < size) {
        path[slash] = '/';
      }
      for (const FileType type : {FileType::Regular, FileType::Directory}) {
        Item item;
        item.entry.path = path;
        item.entry.type = type;
        EXPECT_EQ(read_all(archive_of({item})), std::vector{item}) << size << " " << slash;
      }
    }
  }
}

TEST(Tar, GnuTarReadsOurs) {
  const Scratch scratch;
  scratch.write("a.tar", archive_of(every_kind()));
  const std::string list = scratch.shell("TZ=UTC tar --numeric-owner --full-time -tvf a.tar");
  EXPECT_THAT(list, HasSubstr("drwxr-sr-x 0/0               0 2020-09-13 12:26:40 dir/\n"));
  EXPECT_THAT(list, HasSubstr("dir/hard link to file\n"));
  EXPECT_THAT(list, HasSubstr("prw-r----- 0/0               0 2020-09-13 12:26:40 dir/" + std::string(90, 'n') + "/"));
  EXPECT_THAT(list, HasSubstr(std::string(300, 'x') + " -> " + std::string(200, 'y') + "\n"));
  EXPECT_THAT(list, HasSubstr("crw-r----- 0/0             1,3 2020-09-13 12:26:40 dev/null\n"));
  EXPECT_THAT(list, HasSubstr("4095,1048575 2020-09-13 12:26:40 dev/disk\n"));
  EXPECT_THAT(list, HasSubstr("4000000000/2097152 0 1969-12-31 23:59:59 gr"));
  EXPECT_EQ(scratch.shell("tar -xOf a.tar file file2"), "hello" + std::string(512, 'z'));
}

TEST(Tar, PythonReadsOurs) {
  const Scratch scratch;
  scratch.write("a.tar", archive_of(every_kind()));
  EXPECT_EQ(
      scratch.python("import tarfile\n"
                     "for m in tarfile.open('a.tar'):\n"
                     "    print(len(m.name.encode()), m.type.decode(), oct(m.mode), m.uid, m.size, int(m.mtime),\n"
                     "          len(m.linkname), m.pax_headers.get('SCHILY.xattr.user.a'))\n"),
      "3 5 0o2755 0 0 1600000000 0 None\n"
      "8 1 0o640 0 0 1600000000 4 None\n"
      "185 6 0o640 0 0 1600000000 0 None\n"
      "304 2 0o777 0 0 1600000000 200 None\n"
      "8 3 0o640 0 0 1600000000 0 None\n"
      "8 4 0o640 0 0 1600000000 0 None\n"
      "7 5 0o640 4000000000 0 -1 0 x=\n\n"
      "4 0 0o644 0 5 0 0 None\n"
      "5 0 0o644 0 512 0 0 None\n"
      "5 0 0o644 0 0 0 0 None\n");
}

/// One tree in every dialect gives one list.
TEST(Tar, DialectsOfGnuTarAreTheSameTree) {
  const Scratch scratch;
  const std::string name(130, 'l');
  (void)scratch.shell("mkdir -p tree/sub && printf abc > tree/sub/" + name + " && ln -s " + std::string(120, 't') +
                      " tree/sym && ln tree/sub/" + name +
                      " tree/twin && touch -d @1500000000 tree/sub/* tree/sub "
                      "&& touch -h -d @1500000000 tree/sym tree && mkfifo tree/fifo && touch -d @1500000000 tree/fifo");
  std::vector<std::vector<Item>> lists;
  for (const std::string dialect : {"gnu", "posix"}) {
    (void)scratch.shell("tar --format=" + dialect +
                        " --sort=name --owner=7 --group=8 --numeric-owner --mode=0644 -C tree" + " -cf " + dialect +
                        ".tar .");
    lists.push_back(read_all(scratch.read(dialect + ".tar")));
  }
  EXPECT_EQ(lists[0], lists[1]);
  ASSERT_EQ(lists[0].size(), 5U) << "./ itself is no entry";
  EXPECT_EQ(lists[0][0].entry.path, "fifo");
  EXPECT_EQ(lists[0][2].entry.path, "sub/" + name);
  EXPECT_EQ(lists[0][2].content, "abc");
  EXPECT_EQ(lists[0][2].entry.uid, 7U);
  EXPECT_EQ(lists[0][2].entry.mtime, 1500000000);
  EXPECT_EQ(lists[0][3].entry.link, std::string(120, 't'));
  EXPECT_EQ(lists[0][4].entry.type, FileType::HardLink);
  EXPECT_EQ(lists[0][4].entry.link, "sub/" + name);
}

TEST(Tar, OldV7AndBase256NumbersAreRead) {
  const Scratch scratch;
  (void)scratch.shell(
      "printf abc > f && touch -d @1500000000 f && tar --format=v7 --numeric-owner --owner=3 -cf v7.tar f "
      "&& tar --format=gnu --numeric-owner --owner=4000000000 -cf big.tar f");
  EXPECT_EQ(read_all(scratch.read("v7.tar")).at(0).content, "abc");
  EXPECT_EQ(read_all(scratch.read("big.tar")).at(0).entry.uid, 4000000000U);
}

TEST(Tar, UnreadContentIsSkipped) {
  const std::string archive = archive_of({file("a", std::string(70000, 'a')), file("b", "bb")});
  MemorySource source(as_bytes(archive));
  TarReader reader(source);
  ASSERT_TRUE(reader.next());
  Bytes some(10);
  EXPECT_EQ(reader.content().read(some), 10U);
  EXPECT_EQ(reader.next().value().path, "b");
  EXPECT_FALSE(reader.next());
  EXPECT_FALSE(reader.next());
}

TEST(Tar, NamesThatLeadOutAreRefused) {
  Item item = file("x", "");
  item.entry.path = "a/../../etc/passwd";
  EXPECT_THAT(refusal(archive_of({item})), HasSubstr("the name `a/../../etc/passwd` holds `..`"));
  item.entry.path = "/etc/passwd";
  EXPECT_EQ(read_all(archive_of({item})).at(0).entry.path, "etc/passwd") << "as GNU tar does";
  item.entry = {};
  item.entry.path = "l";
  item.entry.type = FileType::HardLink;
  item.entry.link = "/etc/shadow";
  EXPECT_THAT(refusal(archive_of({item})), HasSubstr("the hard link target `/etc/shadow` is absolute"));
  item.entry.link = "../shadow";
  EXPECT_THAT(refusal(archive_of({item})), HasSubstr("holds `..`"));
  item.entry = {};
  item.entry.path = std::string("a\0b", 3) + std::string(200, 'c');
  EXPECT_THAT(refusal(archive_of({item})), HasSubstr("NUL"));
}

TEST(Tar, DamageIsNamedWithItsPlace) {
  const std::string good = archive_of({file("a", "content")});
  std::string bad = good;
  bad[0] = 'b';
  EXPECT_THAT(refusal(bad), HasSubstr("tar archive at byte 512: a header's checksum is wrong"));
  EXPECT_THAT(refusal(good.substr(0, 515)), HasSubstr("at byte 515: it ends inside an entry"));
  EXPECT_THAT(refusal(good.substr(0, 1000)), HasSubstr("it ends inside an entry"));
  EXPECT_THAT(refusal(good.substr(0, 100)), HasSubstr("at byte 100: it ends inside a header"));
  EXPECT_EQ(read_all(good.substr(0, 1024)).size(), 1U) << "the two zero blocks may be missing";
  EXPECT_THAT(refusal(patched(good, 124, "0000000009x")), HasSubstr("`0000000009x` is not an octal number"));
  EXPECT_THAT(refusal(patched(good, 124, "\xff\xff")), HasSubstr("a negative or oversized number"));
  EXPECT_THAT(refusal(patched(good, 156, "S")), HasSubstr("entry `a` is of unknown type 83"));
}

TEST(Tar, PaxRecordsThatLieAreRefused) {
  const auto with_pax = [](const std::string& records) {
    Item item = file("pax", records);
    return patched(archive_of({item}), 156, "x") + std::string();
  };
  const auto then = [&](const std::string& records) {
    return with_pax(records).substr(0, 512 + records.size() + tar_padding(records.size())) +
           archive_of({file("a", "1")});
  };
  EXPECT_EQ(read_all(then("10 path=b\n")).at(0).entry.path, "b");
  EXPECT_EQ(read_all(then("19 mtime=1234.5678\n")).at(0).entry.mtime, 1234);
  EXPECT_THAT(refusal(then("8 path=b\n")), HasSubstr("a PAX record's length is wrong"));
  EXPECT_THAT(refusal(then("99 path=b\n")), HasSubstr("a PAX record's length is wrong"));
  EXPECT_THAT(refusal(then("0 path=b\n")), HasSubstr("a PAX record's length is wrong"));
  EXPECT_THAT(refusal(then("path=b\n")), HasSubstr("a PAX record without a length"));
  EXPECT_THAT(refusal(then("7 path\n")), HasSubstr("a PAX record without `=`"));
  EXPECT_THAT(refusal(then("10 size=x\n")), HasSubstr("`x` is not a number"));
  EXPECT_THAT(refusal(then("12 uid=-100\n")), HasSubstr("`-100` is not a number"));
  EXPECT_THAT(refusal(then("18 uid=4294967296\n")), HasSubstr("an id is too large"));
}

TEST(Tar, LimitsHold) {
  const std::string archive = archive_of({file("a", "12345"), file("b", "12345")});
  TarLimits limits;
  limits.max_entries = 1;
  EXPECT_THAT(refusal(archive, limits), HasSubstr("too many entries"));
  limits = {};
  limits.max_entry_size = 4;
  EXPECT_THAT(refusal(archive, limits), HasSubstr("entry `a` is too large"));
  limits = {};
  limits.max_total_size = 9;
  EXPECT_THAT(refusal(archive, limits), HasSubstr("entry `b` is too large"));
  limits = {};
  limits.max_path = 150;
  EXPECT_THAT(refusal(archive_of({file(std::string(151, 'a'), "")}), limits), HasSubstr("a name is too long"));
  limits = {};
  limits.max_pax = 100;
  EXPECT_THAT(refusal(archive_of({file(std::string(300, 'a'), "")}), limits),
              HasSubstr("an extension header is too large"));
}

/// A sparse file's blocks are not its content: reading them as such would be silently wrong.
TEST(Tar, SparseFilesAreRefused) {
  const Scratch scratch;
  (void)scratch.shell("truncate -s 1M hole && printf x >> hole");
  for (const std::string dialect : {"gnu", "posix"}) {
    (void)scratch.shell("tar --sparse --format=" + dialect + " -cf " + dialect + ".tar hole");
    EXPECT_NE(refusal(scratch.read(dialect + ".tar")), "") << dialect;
  }
}

/// No kernel has such a device; tar_header() could not write it either.
TEST(Tar, DeviceNumbersBeyondTheKernelsAreRefused) {
  Item item;
  item.entry.path = "d";
  item.entry.type = FileType::CharDevice;
  EXPECT_THAT(refusal(patched(archive_of({item}), 329, std::string("\x80\0\0\0\xff\0\0\0", 8))),
              HasSubstr("device number"));
}

}  // namespace
}  // namespace slip::codec
