#include <gtest/gtest.h>

#include "core/error.h"
#include "registry/blob_reader.h"

namespace slip::registry {
namespace {

/// 3 MB whose bytes depend on their place, made in pieces of odd sizes.
void produce(Sink& out) {
  std::uint32_t at = 0;
  for (std::size_t size = 1; at < 3'000'000; size = size * 3 % 70'001 + 1) {
    Bytes piece(std::min<std::size_t>(size, 3'000'000 - at));
    for (std::uint8_t& byte : piece) {
      byte = static_cast<std::uint8_t>(at++ * 2654435761U >> 24U);
    }
    out.write(piece);
  }
}

Bytes whole() {
  BytesSink all;
  produce(all);
  return all.data;
}

Bytes read_some(BlobReader& reader, std::size_t size) {
  Bytes bytes(size);
  std::size_t done = 0;
  while (done < size) {
    const std::size_t count = reader.read(std::span(bytes).subspan(done));
    if (count == 0) {
      break;
    }
    done += count;
  }
  bytes.resize(done);
  return bytes;
}

TEST(ProducedReader, GoesForwardAndBack) {
  oci::LayerSource source;
  source.produce = produce;
  const Bytes expected = whole();
  const auto reader = BlobReader::of(source);
  for (const std::size_t from : {0U, 100'000U, 2'500'000U, 7U, 2'999'999U, 1'000'000U}) {
    reader->seek(from);
    const Bytes got = read_some(*reader, 5000);
    const std::size_t size = std::min<std::size_t>(5000, expected.size() - from);
    ASSERT_EQ(size, got.size());
    EXPECT_TRUE(std::equal(got.begin(), got.end(), expected.begin() + static_cast<std::ptrdiff_t>(from)));
  }
}

TEST(ProducedReader, EndsBeforeItsProducerDoes) {
  oci::LayerSource source;
  source.produce = [](Sink& out) {
    const Bytes block(1u << 20);
    for (int i = 0; i < 1000; ++i) {
      out.write(block);
    }
  };
  const auto reader = BlobReader::of(source);
  EXPECT_EQ(10u, read_some(*reader, 10).size());
}

TEST(ProducedReader, PassesOnWhatTheProducerThrows) {
  oci::LayerSource source;
  source.produce = [](Sink& out) {
    out.write(as_bytes("some"));
    throw Error(ErrorKind::Corrupt, "broken");
  };
  const auto reader = BlobReader::of(source);
  Bytes bytes(4);
  EXPECT_EQ(4u, reader->read(bytes));
  EXPECT_THROW(reader->read(bytes), Error);
}

TEST(PartBody, IsThePartAndNoMore) {
  oci::LayerSource source;
  source.produce = produce;
  const Bytes expected = whole();
  const auto reader = BlobReader::of(source);
  std::uint64_t told = 0;
  PartBody body(*reader, 1000, 300'000, [&](std::uint64_t at) { told = at; });
  Bytes got(400'000);
  std::size_t done = 0;
  while (const std::size_t count = body.read(std::span(got).subspan(done))) {
    done += count;
  }
  EXPECT_EQ(300'000u, done);
  EXPECT_EQ(301'000u, told);
  EXPECT_TRUE(std::equal(got.begin(), got.begin() + 300'000, expected.begin() + 1000));
  PartBody too_long(*reader, 2'999'000, 2000, [](std::uint64_t) {});
  EXPECT_THROW(
      {
        while (too_long.read(got) != 0) {
        }
      },
      Error);
}

}  // namespace
}  // namespace slip::registry
