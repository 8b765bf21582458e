#include "codec/compress.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "codec/sha256.h"
#include "codec/testing.h"

namespace slip::codec {
namespace {

using testing::HasSubstr;

std::string pattern(std::size_t n) {
  std::string text;
  text.reserve(n);
  std::uint32_t state = 1;
  while (text.size() < n) {
    state = state * 1664525U + 1013904223U;
    text += static_cast<char>('a' + (state >> 27));
  }
  return text;
}

/// Hands out at most `most` bytes a time: a decoder must not care how its input is cut.
class SlowSource final : public Source {
 public:
  SlowSource(std::string_view text, std::size_t most) : from_(as_bytes(text)), most_(most) {}
  std::size_t read(std::span<std::uint8_t> into) override {
    return from_.read(into.first(std::min(into.size(), most_)));
  }

 private:
  MemorySource from_;
  std::size_t most_;
};

std::string unpack(std::string_view packed, std::size_t step_in = 1u << 20, std::size_t step_out = 1u << 16) {
  SlowSource source(packed, step_in);
  const auto plain = open_compressed(source, "a.gz");
  std::string out;
  Bytes buffer(step_out);
  while (const std::size_t n = plain->read(buffer)) {
    out.append(as_text(ByteView(buffer).first(n)));
  }
  EXPECT_EQ(plain->read(buffer), 0U) << "the end stays the end";
  return out;
}

std::string refusal(const std::string& packed) {
  return message(ErrorKind::Corrupt, [&] { unpack(packed); });
}

struct Tool {
  const char* name;
  const char* command;
};
void PrintTo(const Tool& tool, std::ostream* out) { *out << tool.name; }

class Unpack : public testing::TestWithParam<Tool> {
 protected:
  [[nodiscard]] std::string pack(const std::string& plain) const {
    scratch_.write("plain", plain);
    return scratch_.shell(std::string(GetParam().command) + " < plain");
  }
  [[nodiscard]] bool missing() const {
    const std::string tool = GetParam().command;
    return std::system(("command -v " + tool.substr(0, tool.find(' ')) + " > /dev/null").c_str()) != 0;
  }
  Scratch scratch_;
};

TEST_P(Unpack, GivesBackWhatTheToolPacked) {
  if (missing()) {
    GTEST_SKIP() << "not on this machine: " << GetParam().command;
  }
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{300000}}) {
    const std::string plain = pattern(size);
    const std::string packed = pack(plain);
    EXPECT_EQ(unpack(packed), plain);
    EXPECT_EQ(unpack(packed, 7, 100), plain) << "cut finely";
    EXPECT_EQ(unpack(packed + packed), plain + plain) << "two members in a row";
  }
}

TEST_P(Unpack, NoticesATruncatedOrChangedStream) {
  if (missing()) {
    GTEST_SKIP() << "not on this machine: " << GetParam().command;
  }
  const std::string packed = pack(pattern(5000));
  for (std::size_t size = 6; size < packed.size(); size += 97) {
    EXPECT_THAT(refusal(packed.substr(0, size)), HasSubstr("unpack a.gz: ")) << size;
  }
  std::string changed = packed;
  changed[packed.size() / 2] = static_cast<char>(changed[packed.size() / 2] ^ 0x55);
  EXPECT_NE(refusal(changed), "");
  EXPECT_NE(refusal(packed + "rubbish"), "");
}

INSTANTIATE_TEST_SUITE_P(Tools, Unpack,
                         testing::Values(Tool{"gzip", "gzip -n"}, Tool{"xz", "xz"}, Tool{"zstd", "zstd -q"}),
                         [](const auto& tool) { return std::string(tool.param.name); });

/// dpkg's zstd members carry no checksum: nothing follows the last block.
TEST(Compress, ZstdWithoutChecksum) {
  if (std::system("command -v zstd > /dev/null") != 0) {
    GTEST_SKIP() << "no zstd(1) on this machine";
  }
  const Scratch scratch;
  const std::string plain = pattern(300000);
  scratch.write("plain", plain);
  EXPECT_EQ(unpack(scratch.shell("zstd -q --no-check < plain"), 1u << 20, 10), plain);
}

TEST(Compress, OtherBytesPassUnchanged) {
  EXPECT_EQ(unpack(""), "");
  EXPECT_EQ(unpack("x"), "x");
  EXPECT_EQ(unpack(pattern(300000), 1000, 77), pattern(300000));
}

TEST(Compress, GzipReadsOurMembers) {
  const Scratch scratch;
  const Deflater deflater;
  std::string all;
  std::string plain;
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100000}, std::size_t{3000000}}) {
    const std::string text = pattern(size);
    const Bytes member = deflater.gzip_member(as_bytes(text));
    EXPECT_EQ(member, Deflater().gzip_member(as_bytes(text))) << "a fresh encoder gives the same bytes";
    EXPECT_EQ(unpack(as_text(member)), text);
    all += as_text(member);
    plain += text;
  }
  scratch.write("all.gz", all);
  EXPECT_EQ(scratch.shell("gzip -t all.gz && gzip -dc all.gz"), plain);
  EXPECT_EQ(
      scratch.python("import gzip, hashlib\nprint(hashlib.sha256(gzip.open('all.gz').read()).hexdigest(), end='')"),
      sha256(plain).hex());
}

TEST(Compress, Crc32IsTheKnownOne) {
  EXPECT_EQ(crc32(0, as_bytes("123456789")), 0xcbf43926U);
  EXPECT_EQ(crc32(crc32(0, as_bytes("1234")), as_bytes("56789")), 0xcbf43926U);
  EXPECT_EQ(crc32(0, {}), 0U);
}

/// The raw DEFLATE stream within one of our gzip members.
std::string deflated(const std::string& plain) {
  const Bytes member = Deflater().gzip_member(as_bytes(plain));
  return std::string(as_text(ByteView(member).subspan(10, member.size() - 18)));
}

/// Both readers of a stream: at once from memory, and piece by piece.
void expect_both(const std::string& packed, const std::string& plain) {
  const std::uint32_t crc = crc32(0, as_bytes(plain));
  BytesSink whole;
  inflate_exact(as_bytes(packed), plain.size(), crc, whole, "w");
  EXPECT_TRUE(as_text(whole.data) == plain);
  BytesSink pieces;
  SlowSource source(packed, 1000);
  inflate_exact(source, plain.size(), crc, pieces, "w");
  EXPECT_TRUE(as_text(pieces.data) == plain);
}

void expect_corrupt(const std::string& packed, std::uint64_t size, std::uint32_t crc) {
  NullSink out;
  EXPECT_THAT(message(ErrorKind::Corrupt, [&] { inflate_exact(as_bytes(packed), size, crc, out, "w.whl:a"); }),
              HasSubstr("unpack w.whl:a: "));
  SlowSource source(packed, 1000);
  EXPECT_THAT(message(ErrorKind::Corrupt, [&] { inflate_exact(source, size, crc, out, "w.whl:a"); }),
              HasSubstr("unpack w.whl:a: "));
}

TEST(Compress, InflateExactTakesTheStreamAndNothingElse) {
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{5000}, std::size_t{17} << 20}) {
    const std::string plain = pattern(size);
    expect_both(deflated(plain), plain);
  }
  const std::string plain = pattern(5000);
  const std::string packed = deflated(plain);
  const std::uint32_t crc = crc32(0, as_bytes(plain));
  expect_corrupt(packed, 4999, crc);
  expect_corrupt(packed, 5001, crc);
  expect_corrupt(packed, 5000, crc ^ 1);
  expect_corrupt(packed + "x", 5000, crc);
  expect_corrupt(packed.substr(0, packed.size() - 1), 5000, crc);
  expect_corrupt("", 5000, crc);
  expect_corrupt("\7rubbish", 5000, crc);
  expect_corrupt("", 0, 0);
}

TEST(Sha256, KnownAnswersHoweverTheInputIsCut) {
  EXPECT_EQ(sha256("").hex(), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(sha256("abc").hex(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  const std::string million(1000000, 'a');
  EXPECT_EQ(sha256(million).hex(), "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  BytesSink next;
  HashSink hash(&next);
  for (std::size_t at = 0; at < million.size(); at += 4097) {
    hash.write(as_bytes(std::string_view(million).substr(at, 4097)));
  }
  EXPECT_EQ(hash.size(), 1000000U);
  EXPECT_EQ(next.data.size(), 1000000U);
  EXPECT_EQ(hash.finish(), sha256(million));
}

}  // namespace
}  // namespace slip::codec
