#include "codec/zip.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/compress.h"
#include "codec/testing.h"

namespace slip::codec {
namespace {

using testing::HasSubstr;

std::string le(std::uint64_t value, unsigned size) {
  std::string out;
  for (unsigned i = 0; i < size; ++i) {
    out += static_cast<char>(value >> (8 * i));
  }
  return out;
}

/// One entry the way the format has it, with every field open to lies.
struct Raw {
  std::string name{};
  std::string data{};
  std::uint16_t flags = 0;
  std::uint16_t method = 0;
  std::uint32_t size = 0;
  std::string extra{};                    ///< in the directory
  std::string local_extra{};              ///< in the local header
  std::uint32_t compressed = 0xfffffffe;  ///< in the directory; 0xfffffffe: what `data` has
  std::uint32_t offset = 0xfffffffe;      ///< of the local header, likewise
};

struct Zip {
  std::string bytes;
  std::string directory;
  std::uint16_t count = 0;

  Zip& add(const Raw& raw) {
    const std::uint32_t offset = raw.offset == 0xfffffffe ? static_cast<std::uint32_t>(bytes.size()) : raw.offset;
    const std::uint64_t packed = raw.compressed == 0xfffffffe ? raw.data.size() : raw.compressed;
    const std::string both = le(raw.flags, 2) + le(raw.method, 2) + le(0, 4) + le(crc32(0, as_bytes(raw.data)), 4) +
                             le(packed, 4) + le(raw.size != 0 ? raw.size : raw.data.size(), 4) + le(raw.name.size(), 2);
    bytes += "PK\3\4" + le(20, 2) + both + le(raw.local_extra.size(), 2) + raw.name + raw.local_extra + raw.data;
    directory += "PK\1\2" + le(0x0314, 2) + le(20, 2) + both + le(raw.extra.size(), 2) + le(0, 2) + le(0, 2) +
                 le(0, 2) + le(std::uint64_t{0100644} << 16, 4) + le(offset, 4) + raw.name + raw.extra;
    ++count;
    return *this;
  }
  [[nodiscard]] std::string end(const std::string& comment = "") const {
    return bytes + directory + "PK\5\6" + le(0, 4) + le(count, 2) + le(count, 2) + le(directory.size(), 4) +
           le(bytes.size(), 4) + le(comment.size(), 2) + comment;
  }
};

bool same(const ZipEntry& a, const ZipEntry& b) {
  return a.name == b.name && a.stored == b.stored && a.crc32 == b.crc32 && a.compressed_size == b.compressed_size &&
         a.size == b.size && a.unix_mode == b.unix_mode && a.data_offset == b.data_offset;
}

/// Both readers must agree, in what they accept and in what they say.
std::vector<ZipEntry> read(const std::string& archive, const ZipLimits& limits = {}) {
  const ReadAt pieces = [&](std::uint64_t offset, std::span<std::uint8_t> into) {
    ASSERT_LE(offset + into.size(), archive.size());
    std::copy_n(archive.begin() + static_cast<std::ptrdiff_t>(offset), into.size(), into.begin());
  };
  std::vector<ZipEntry> second;
  std::string complaint;
  try {
    second = read_zip(pieces, archive.size(), "w.whl", limits);
  } catch (const Error& e) {
    complaint = e.joined();
  }
  try {
    const std::vector<ZipEntry> first = read_zip(as_bytes(archive), "w.whl", limits);
    EXPECT_EQ(complaint, "");
    EXPECT_TRUE(std::equal(first.begin(), first.end(), second.begin(), second.end(), same));
    return first;
  } catch (const Error& e) {
    EXPECT_EQ(complaint, e.joined());
    throw;
  }
}

std::string refusal(const std::string& archive, const ZipLimits& limits = {}) {
  return message(ErrorKind::Invalid, [&] { read(archive, limits); });
}

std::string content(const std::string& archive, const ZipEntry& entry) {
  BytesSink out;
  extract_zip(as_bytes(archive), entry, out, "w.whl");
  return std::string(as_text(out.data));
}

TEST(Zip, WhatPythonWritesIsRead) {
  const Scratch scratch;
  (void)scratch.python(
      "import zipfile\n"
      "with zipfile.ZipFile('a.zip', 'w') as z:\n"
      "    z.comment = b'PK\\5\\6 in a comment' + bytes(100)\n"
      "    for name, data, method, mode in [('d/', b'', 0, 0o40755), ('d/stored', b'abc', 0, 0o100755),\n"
      "                                     ('d/deflated', b'x' * 100000, 8, 0o100644), ('leer', b'', 8, 0)]:\n"
      "        i = zipfile.ZipInfo(name); i.compress_type = method; i.external_attr = mode << 16\n"
      "        z.writestr(i, data)\n"
      "    with z.open(zipfile.ZipInfo('große'), 'w', force_zip64=True) as f: f.write(b'64')\n");
  const std::string archive = scratch.read("a.zip");
  const auto entries = read(archive);
  ASSERT_EQ(entries.size(), 5U);
  EXPECT_TRUE(entries[0].folder());
  EXPECT_EQ(entries[1].unix_mode, 0100755U);
  EXPECT_TRUE(entries[1].stored);
  EXPECT_EQ(content(archive, entries[1]), "abc");
  EXPECT_FALSE(entries[2].stored);
  EXPECT_EQ(content(archive, entries[2]), std::string(100000, 'x'));
  EXPECT_EQ(content(archive, entries[3]), "");
  EXPECT_EQ(entries[4].name, "große");
  EXPECT_EQ(content(archive, entries[4]), "64");
}

/// Sizes unknown at the start stand behind the data, written to a pipe.
TEST(Zip, DataDescriptorsAreRead) {
  const Scratch scratch;
  (void)scratch.python(
      "import zipfile, io\n"
      "class Pipe(io.RawIOBase):\n"
      "    def __init__(self, f): self.f = f\n"
      "    def writable(self): return True\n"
      "    def write(self, b): return self.f.write(b)\n"
      "with open('a.zip', 'wb') as f, zipfile.ZipFile(Pipe(f), 'w', 8) as z:\n"
      "    z.writestr('a', b'a' * 5000)\n"
      "    z.writestr('b', b'bb')\n");
  const std::string archive = scratch.read("a.zip");
  const auto entries = read(archive);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(content(archive, entries[0]), std::string(5000, 'a'));
  EXPECT_EQ(content(archive, entries[1]), "bb");
}

TEST(Zip, Zip64DirectoryOfManyEntries) {
  const Scratch scratch;
  (void)scratch.python(
      "import zipfile\n"
      "with zipfile.ZipFile('a.zip', 'w') as z:\n"
      "    for i in range(65600): z.writestr(zipfile.ZipInfo(str(i)), b'')\n");
  const std::string archive = scratch.read("a.zip");
  const auto entries = read(archive);
  ASSERT_EQ(entries.size(), 65600U);
  EXPECT_EQ(entries.back().name, "65599");
  ZipLimits limits;
  limits.max_entries = 65599;
  EXPECT_THAT(refusal(archive, limits), HasSubstr("w.whl: too many entries"));
}

/// An archive larger than 4 GiB, of which only the two ends exist in memory.
TEST(Zip, PositionsBeyondFourGigabytes) {
  constexpr std::uint64_t kHole = std::uint64_t{5} << 30;
  const std::string first = "PK\3\4" + std::string(22, '\0') + le(1, 2) + le(0, 2) + "a";
  const std::string second = "PK\3\4" + std::string(22, '\0') + le(1, 2) + le(3, 2) + "b" + "???" + "data";
  const auto central = [](const std::string& name, const std::string& extra, std::uint32_t size, std::uint32_t offset) {
    return "PK\1\2" + std::string(12, '\0') + le(0x1234, 4) + le(size, 4) + le(size, 4) + le(name.size(), 2) +
           le(extra.size(), 2) + std::string(10, '\0') + le(offset, 4) + name + extra;
  };
  const std::string directory =
      central("a", le(0x7075, 2) + le(1, 2) + "?" + le(1, 2) + le(16, 2) + le(kHole, 8) + le(kHole, 8), 0xffffffff, 0) +
      central("b", le(1, 2) + le(8, 2) + le(first.size() + kHole, 8), 4, 0xffffffff);
  const std::uint64_t start = first.size() + kHole + second.size();
  const std::string tail = second + directory + "PK\6\6" + le(44, 8) + le(45, 2) + le(45, 2) + le(0, 8) + le(2, 8) +
                           le(2, 8) + le(directory.size(), 8) + le(start, 8) + "PK\6\7" + le(0, 4) +
                           le(start + directory.size(), 8) + le(1, 4) + "PK\5\6" + le(0, 4) + le(0xffff, 2) +
                           le(0xffff, 2) + le(0xffffffff, 4) + le(0xffffffff, 4) + le(0, 2);
  const std::uint64_t size = first.size() + kHole + tail.size();
  std::uint64_t touched = 0;
  const ReadAt at = [&](std::uint64_t offset, std::span<std::uint8_t> into) {
    ASSERT_LE(offset + into.size(), size);
    touched += into.size();
    for (std::size_t i = 0; i < into.size(); ++i, ++offset) {
      into[i] = static_cast<std::uint8_t>(offset < first.size()           ? first[offset]
                                          : offset < first.size() + kHole ? 0
                                                                          : tail[offset - first.size() - kHole]);
    }
  };
  const auto entries = read_zip(at, size, "large.whl");
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].size, kHole);
  EXPECT_EQ(entries[0].data_offset, first.size());
  EXPECT_EQ(entries[1].size, 4U);
  EXPECT_EQ(entries[1].data_offset, first.size() + kHole + second.size() - 4);
  EXPECT_LT(touched, 1u << 20) << "the entries' data is not read";
}

TEST(Zip, NamesThatLeadOutAreRefused) {
  for (const std::string name :
       {"../x", "a/../x", "/etc/passwd", "a//b", "./a", "a/.", "", "/", "a\\b", "..", "a/../"}) {
    EXPECT_THAT(refusal(Zip().add({.name = name, .data = "x"}).end()), HasSubstr("is not allowed")) << name;
  }
  EXPECT_THAT(refusal(Zip().add({.name = std::string("a\0b", 3), .data = "x"}).end()), HasSubstr("is not allowed"));
  EXPECT_THAT(refusal(Zip().add({.name = std::string(4097, 'n'), .data = "x"}).end()), HasSubstr("is not allowed"));
  EXPECT_EQ(read(Zip().add({.name = "..a/b..", .data = "x"}).end()).size(), 1U);
}

TEST(Zip, WhatCannotBeReadIsRefused) {
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "x", .flags = 1}).end()), HasSubstr("entry `a` is encrypted"));
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "x", .flags = 0x2000}).end()), HasSubstr("is encrypted"));
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "x", .method = 12}).end()),
              HasSubstr("entry `a` is compressed by method 12"));
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "x", .size = 2}).end()), HasSubstr("compressed by method 0"));
}

TEST(Zip, DuplicateAndOverlappingEntriesAreRefused) {
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "x"}).add({.name = "a", .data = "y"}).end()),
              HasSubstr("entry `a` stands in it twice"));
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "xyz"}).add({.name = "b", .data = "xyz", .offset = 0}).end()),
              HasSubstr("overlaps what follows it"));
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "xyz", .size = 4, .compressed = 4}).end()),
              HasSubstr("entry `a` overlaps what follows it"));
  // A quine's first step: the data of one entry holds the header of another.
  EXPECT_THAT(refusal(Zip()
                          .add({.name = "a", .data = "xyz", .size = 10, .compressed = 10})
                          .add({.name = "b", .data = "12345678901234567890"})
                          .end()),
              HasSubstr("entry `a` overlaps what follows it"));
}

TEST(Zip, DamageIsRefused) {
  EXPECT_THAT(refusal(""), HasSubstr("w.whl: not a zip archive"));
  EXPECT_THAT(refusal(std::string(100, 'x')), HasSubstr("its directory is missing"));
  const std::string good = Zip().add({.name = "a", .data = "xyz"}).end();
  for (std::size_t size = 0; size < good.size(); ++size) {
    EXPECT_NE(refusal(good.substr(0, size)), "") << size;
  }
  EXPECT_THAT(refusal(std::string(good).replace(0, 2, "XX")), HasSubstr("entry `a` has no local header"));
  EXPECT_THAT(refusal(std::string(good).replace(34, 2, "XX")), HasSubstr("the zip directory is damaged"));
  EXPECT_THAT(refusal(std::string(good).replace(good.size() - 6, 4, le(1000, 4))),
              HasSubstr("the zip directory lies outside the archive"));
  EXPECT_THAT(refusal(Zip().add({.name = "a", .data = "x", .offset = 4000000}).end()), HasSubstr("lies outside"));
  EXPECT_THAT(
      refusal(Zip()
                  .add({.name = "a", .data = "x", .extra = le(1, 2) + le(4, 2) + le(0, 4), .compressed = 0xffffffff})
                  .end()),
      HasSubstr("a ZIP64 field is too short"));
}

TEST(Zip, LimitsHold) {
  const std::string archive = Zip().add({.name = "a", .data = "12345"}).add({.name = "b", .data = "12345"}).end();
  ZipLimits limits;
  limits.max_entry_size = 4;
  EXPECT_THAT(refusal(archive, limits), HasSubstr("entry `a` is too large"));
  limits = {};
  limits.max_total_size = 9;
  EXPECT_THAT(refusal(archive, limits), HasSubstr("entry `b` is too large"));
}

TEST(Zip, ContentIsCheckedAgainstItsCrc) {
  std::string archive = Zip().add({.name = "a", .data = "xyz"}).end();
  const ZipEntry entry = read(archive).at(0);
  EXPECT_EQ(content(archive, entry), "xyz");
  archive[entry.data_offset] = 'X';
  EXPECT_THAT(message(ErrorKind::Corrupt, [&] { content(archive, entry); }),
              HasSubstr("unpack w.whl:a: CRC-32 differs"));
}

}  // namespace
}  // namespace slip::codec
