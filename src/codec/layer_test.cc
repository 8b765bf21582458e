#include "codec/layer.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "codec/ar.h"
#include "codec/compress.h"
#include "codec/compression.h"
#include "codec/sha256.h"
#include "codec/zip.h"
#include "core/error.h"

namespace slip::codec {
namespace {

namespace fs = std::filesystem;

std::string pattern(std::size_t n, unsigned seed) {
  std::string text;
  text.reserve(n);
  std::uint32_t state = seed * 2654435761U + 1;
  while (text.size() < n) {
    state = state * 1664525U + 1013904223U;
    text += static_cast<char>('a' + (state >> 28));
  }
  return text;
}

LayerItem folder(std::string path) {
  LayerItem item;
  item.entry = {std::move(path), FileType::Directory, 0755, 0, 0, 0, 1600000000, "", 0, 0, {}};
  return item;
}

LayerItem text(std::string path, std::string bytes) {
  LayerItem item;
  item.entry = {std::move(path), FileType::Regular, 0644, 0, 0, bytes.size(), 1600000000, "", 0, 0, {}};
  item.content = InlineContent{std::move(bytes)};
  return item;
}

class LayerTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "layer-test-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path write(const std::string& name, std::string_view bytes) {
    std::ofstream(dir_ / name, std::ios::binary) << bytes;
    return dir_ / name;
  }
  static std::string shell(const std::string& command) {
    FILE* pipe = ::popen(command.c_str(), "r");
    std::string out;
    char buffer[4096];
    while (const std::size_t n = std::fread(buffer, 1, sizeof buffer, pipe)) {
      out.append(buffer, n);
    }
    EXPECT_EQ(::pclose(pipe), 0) << command;
    return out;
  }

  fs::path dir_;
};

/// Items of a wheel-like archive: deflated, stored, empty, executable entries.
TEST_F(LayerTest, SplicedLayerIsWhatTheOtherToolsRead) {
  const std::string python =
      "import zipfile\n"
      "z = zipfile.ZipFile('w.whl', 'w')\n"
      "def add(name, data, method, mode=0o644):\n"
      "    i = zipfile.ZipInfo(name); i.compress_type = method; i.external_attr = mode << 16; i.create_system = 3\n"
      "    z.writestr(i, data)\n"
      "add('pkg/big.py', 'print(1)\\n' * 300000, zipfile.ZIP_DEFLATED)\n"
      "add('pkg/stored.bin', bytes(range(256)) * 10, zipfile.ZIP_STORED)\n"
      "add('pkg/empty.py', '', zipfile.ZIP_DEFLATED)\n"
      "add('pkg/run', '#!/bin/sh\\n', zipfile.ZIP_DEFLATED, 0o755)\n"
      "with z.open(zipfile.ZipInfo('pkg/zip64.txt'), 'w', force_zip64=True) as f: f.write(b'sixty-four')\n"
      "z.close()\n";
  write("make.py", python);
  shell("cd " + dir_.string() + " && python3 make.py");
  std::ifstream in(dir_ / "w.whl", std::ios::binary);
  const std::string wheel{std::istreambuf_iterator<char>(in), {}};

  std::vector<LayerItem> items = {folder("pkg")};
  for (const ZipEntry& entry : read_zip(as_bytes(wheel), "w.whl")) {
    BytesSink plain;
    extract_zip(as_bytes(wheel), entry, plain, "w.whl");
    const fs::path file = write("plain" + std::to_string(items.size()), as_text(plain.data));
    LayerItem item;
    item.entry = {entry.name, FileType::Regular, entry.unix_mode & 07777U, 0, 0, entry.size, 315532800, "", 0, 0, {}};
    if (entry.stored) {
      item.content = FileContent{file};
    } else {
      item.content = SplicedContent{dir_ / "w.whl", entry.data_offset, entry.compressed_size, entry.crc32, file};
    }
    items.push_back(std::move(item));
  }
  sort_items(items);
  BytesSink out;
  const EncodedLayer encoded = encode_layer(items, out);
  EXPECT_EQ(sha256(out.data), encoded.digest);
  EXPECT_EQ(out.data.size(), encoded.size);
  const fs::path layer = write("layer.tar.gz", as_text(out.data));
  EXPECT_EQ(shell("gzip -dc " + layer.string() + " | sha256sum").substr(0, 64), encoded.diff_id.hex());
  EXPECT_EQ(shell("gzip -dc " + layer.string() + " | wc -c"), std::to_string(encoded.size_unpacked) + "\n");
  EXPECT_EQ(shell("tar -tzf " + layer.string()),
            "pkg/\npkg/big.py\npkg/empty.py\npkg/run\npkg/stored.bin\npkg/zip64.txt\n");
  EXPECT_EQ(shell("tar -xzOf " + layer.string() + " pkg/big.py | wc -c"), "2700000\n");
  EXPECT_LT(encoded.size, 20000U);  // the archive's own compression was kept

  BytesSink again;
  encode_again(items, Compression::Gzip, encoded, again);
  EXPECT_EQ(again.data, out.data);
  EncodedLayer another = encoded;
  another.digest = sha256(as_bytes("another"));
  NullSink nowhere;
  EXPECT_THROW(encode_again(items, Compression::Gzip, another, nowhere), Error);

  items.back().content = SplicedContent{dir_ / "w.whl", 0, 10, 123, dir_ / "plain1"};
  EXPECT_THROW(encode_layer(items, out), Error);
}

/// A member that is spliced in promises what its plain twin holds: both are looked at.
TEST_F(LayerTest, ASpliceThatDiffersFromItsPlainTwinIsAnError) {
  const std::string plain = pattern(5000, 1);
  const Bytes member = Deflater().gzip_member(as_bytes(plain));
  const std::string raw(as_text(ByteView(member).subspan(10, member.size() - 18)));
  LayerItem item = text("a", plain);
  const SplicedContent sound{write("archive", "head" + raw + "tail"), 4, raw.size(), crc32(0, as_bytes(plain)),
                             write("plain", plain)};
  item.content = sound;
  BytesSink out;
  const EncodedLayer encoded = encode_layer(std::vector{item}, out);
  MemorySource packed(out.data);
  const auto unpacked = open_compressed(packed, "layer");
  BytesSink tar;
  copy_all(*unpacked, tar);
  EXPECT_EQ(sha256(tar.data), encoded.diff_id);
  EXPECT_EQ(as_text(tar.data).substr(512, plain.size()), plain);

  const auto refused = [&](const SplicedContent& content) {
    item.content = content;
    try {
      encode_layer(std::vector{item}, out);
    } catch (const Error& e) {
      return e.kind() == ErrorKind::Corrupt;
    }
    return false;
  };
  SplicedContent wrong = sound;
  wrong.plain = write("other", pattern(5000, 2));
  EXPECT_TRUE(refused(wrong)) << "same size, other bytes";
  wrong.plain = write("short", plain.substr(1));
  EXPECT_TRUE(refused(wrong));
  wrong = sound;
  wrong.archive = write("cut", "head" + raw.substr(1));
  EXPECT_TRUE(refused(wrong)) << "the archive ends inside the member";
  wrong = sound;
  wrong.crc32 ^= 1;
  EXPECT_TRUE(refused(wrong));
}

TEST_F(LayerTest, BlocksAreCutAtFixedPlacesWhateverTheItems) {
  std::vector<LayerItem> items;
  for (int i = 0; i < 40; ++i) {
    items.push_back(text(format("f{:03}", i), pattern(100000 + static_cast<std::size_t>(i), static_cast<unsigned>(i))));
  }
  BytesSink once;
  BytesSink twice;
  const EncodedLayer a = encode_layer(items, once);
  for (LayerItem& item : items) {  // the same bytes from another kind of place
    const std::string bytes = std::get<InlineContent>(item.content).bytes;
    item.content = FileContent{write(item.entry.path, bytes)};
  }
  const EncodedLayer b = encode_layer(items, twice);
  EXPECT_EQ(a, b);
  EXPECT_EQ(once.data, twice.data);
}

/// What lies deflated in an archive is compressed anew: the tar is the same.
TEST_F(LayerTest, ZstdHoldsTheSameTarInFramesOfItsOwn) {
  const std::string plain = pattern(20u << 20, 3);
  const Bytes member = Deflater().gzip_member(as_bytes(plain));
  const std::string raw(as_text(ByteView(member).subspan(10, member.size() - 18)));
  LayerItem big = text("b", plain);
  const SplicedContent sound{write("archive", raw), 0, raw.size(), crc32(0, as_bytes(plain)), write("plain", plain)};
  big.content = sound;
  std::vector<LayerItem> items = {text("a", "hello"), big};
  BytesSink gzip;
  BytesSink zstd;
  const EncodedLayer a = encode_layer(items, Compression::Gzip, gzip);
  const EncodedLayer b = encode_layer(items, Compression::Zstd, zstd);
  EXPECT_EQ(a.diff_id, b.diff_id);
  EXPECT_EQ(a.size_unpacked, b.size_unpacked);
  EXPECT_NE(a.digest, b.digest);
  EXPECT_EQ(sha256(zstd.data), b.digest);
  const fs::path layer = write("layer.tar.zst", as_text(zstd.data));
  EXPECT_EQ(shell("zstd -q -t " + layer.string() + " && echo sound"), "sound\n");
  EXPECT_EQ(shell("zstd -dc " + layer.string() + " | sha256sum").substr(0, 64), b.diff_id.hex());
  EXPECT_EQ(shell("zstd -lv " + layer.string() + " | grep -c 'Zstandard Frames: 3$'"), "1\n") << "8 MiB of tar each";

  BytesSink again;
  items[1].content = FileContent{dir_ / "plain"};
  EXPECT_EQ(encode_layer(items, Compression::Zstd, again), b);
  EXPECT_EQ(again.data, zstd.data);

  SplicedContent wrong = sound;
  wrong.crc32 ^= 1;
  items[1].content = wrong;
  EXPECT_THROW(encode_layer(items, Compression::Zstd, again), Error);
}

TEST(Encoder, IsKnownByItsFamilyInAnyRelease) {
  EXPECT_EQ(compression_of(encoder_id(Compression::Gzip)), Compression::Gzip);
  EXPECT_EQ(compression_of(encoder_id(Compression::Zstd)), Compression::Zstd);
  EXPECT_EQ(compression_of("zstd-frames/7 libzstd/9.9.9/3"), Compression::Zstd);
  EXPECT_EQ(compression_of("gzip-members/1 libdeflate/0.1/1"), Compression::Gzip);
  EXPECT_EQ(compression_of("lzma"), std::nullopt);
}

TEST_F(LayerTest, GoldenDigest) {
  // These bytes are a promise: whoever changes them raises the recipe format.
  std::vector<LayerItem> items = {folder("etc"), text("etc/motd", "hello\n")};
  NullSink out;
  const EncodedLayer encoded = encode_layer(items, out);
  EXPECT_EQ(encoded.diff_id.hex(), "4f596f9ec2e77c35f8d5311021bc007571383c7ba5923a7b67ea969a2c12bb1d");
  EXPECT_EQ(encoded.size_unpacked, 512U + 512U + 512U + 1024U);
}

TEST_F(LayerTest, RefusesUnsortedAndDoubleItems) {
  NullSink out;
  const std::vector<LayerItem> unsorted = {text("b", "1"), text("a", "2")};
  EXPECT_THROW(encode_layer(unsorted, out), Error);
  std::vector<LayerItem> twice = {text("a", "1"), text("a", "2")};
  EXPECT_THROW(sort_items(twice), Error);
  std::vector<LayerItem> same = {text("a", "1"), text("a", "1"), folder("d"), folder("d")};
  sort_items(same);
  EXPECT_EQ(same.size(), 2U);
  std::vector<LayerItem> both = {folder("a"), text("a", "1")};
  EXPECT_THROW(sort_items(both), Error);
  std::vector<LayerItem> apart = {folder("a"), text("a-b", "1"), text("a", "1")};
  EXPECT_THROW(sort_items(apart), Error) << "`a-b` stands between `a` and `a/`";
}

TEST_F(LayerTest, AFileThatChangedItsSizeIsAnError) {
  LayerItem item = text("a", "12345");
  item.content = FileContent{write("a", "1234567")};
  const std::vector<LayerItem> items = {item};
  NullSink out;
  EXPECT_THROW(encode_layer(items, out), Error);
}

TEST(Tar, ReadsBackWhatItWrites) {
  std::vector<TarEntry> entries = {
      {"usr", FileType::Directory, 0755, 0, 0, 0, 1, "", 0, 0, {}},
      {"usr/" + std::string(140, 'x') + "/" + std::string(90, 'y'),
       FileType::Regular,
       04755,
       1,
       2,
       600,
       99,
       "",
       0,
       0,
       {}},
      {"usr/" + std::string(300, 'z'), FileType::Regular, 0644, 3000000, 5000000, 0, 99, "", 0, 0, {}},
      {"usr/h\xc3\xa9", FileType::Symlink, 0777, 0, 0, 0, 0, std::string(200, 't'), 0, 0, {}},
      {"usr/link", FileType::HardLink, 0644, 0, 0, 0, 5, "usr/other", 0, 0, {}},
      {"usr/null", FileType::CharDevice, 0666, 0, 0, 0, 5, "", 1, 3, {}},
      {"usr/ping",
       FileType::Regular,
       0755,
       0,
       0,
       3,
       5,
       "",
       0,
       0,
       {{"security.capability", std::string("\1\0\0\2", 4)}}},
  };
  std::string archive;
  for (const TarEntry& entry : entries) {
    archive += tar_header(entry);
    archive += std::string(entry.size, 'c');
    archive += std::string(tar_padding(entry.size), '\0');
  }
  archive += tar_end();
  MemorySource source(as_bytes(archive));
  TarReader reader(source);
  for (const TarEntry& entry : entries) {
    const auto read = reader.next();
    ASSERT_TRUE(read);
    EXPECT_EQ(*read, entry) << entry.path;
  }
  EXPECT_FALSE(reader.next());
}

TEST(Tar, RefusesNamesThatLeadOut) {
  for (const char* name : {"../x", "a/../../x"}) {
    TarEntry entry;
    entry.path = name;
    const std::string archive = tar_header(entry) + tar_end();
    MemorySource source(as_bytes(archive));
    TarReader reader(source);
    EXPECT_THROW(reader.next(), Error) << name;
  }
}

TEST(Ar, ReadsMembersAndRefusesDamage) {
  const std::string good = "!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n";
  const auto members = read_ar(as_bytes(good), "a.deb");
  ASSERT_EQ(members.size(), 1U);
  EXPECT_EQ(members[0].name, "debian-binary");
  EXPECT_EQ(as_text(members[0].bytes), "2.0\n");
  EXPECT_THROW(read_ar(as_bytes(good.substr(0, good.size() - 2)), "a.deb"), Error);
  EXPECT_THROW(read_ar(as_bytes("!<arch>\nshort"), "a.deb"), Error);
  EXPECT_THROW(read_ar(as_bytes("PK"), "a.deb"), Error);
}

TEST(Compress, OpensWhatOtherToolsWrite) {
  const std::string plain = pattern(3'000'000, 5);
  const fs::path dir = fs::temp_directory_path() / ("compress-test-" + std::to_string(::getpid()));
  fs::create_directories(dir);
  std::ofstream(dir / "plain", std::ios::binary) << plain;
  for (const char* command : {"gzip -c", "xz -c", "zstd -qc", "cat"}) {
    ASSERT_EQ(std::system(
                  (std::string(command) + " " + (dir / "plain").string() + " > " + (dir / "packed").string()).c_str()),
              0);
    std::ifstream in(dir / "packed", std::ios::binary);
    const std::string packed{std::istreambuf_iterator<char>(in), {}};
    MemorySource source(as_bytes(packed));
    const auto opened = open_compressed(source, command);
    BytesSink out;
    copy_all(*opened, out);
    EXPECT_EQ(as_text(out.data), plain) << command;
    if (std::string_view(command) != "cat") {
      MemorySource cut(as_bytes(std::string_view(packed).substr(0, packed.size() / 2)));
      const auto half = open_compressed(cut, command);
      NullSink nowhere;
      EXPECT_THROW(copy_all(*half, nowhere), Error) << command;
    }
  }
  fs::remove_all(dir);
}

}  // namespace
}  // namespace slip::codec
