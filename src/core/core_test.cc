#include <gtest/gtest.h>

#include <atomic>
#include <stdexcept>

#include "core/digest.h"
#include "core/error.h"
#include "core/parallel.h"
#include "core/suggest.h"
#include "core/text.h"
#include "core/utf8.h"

namespace slip {
namespace {

TEST(Format, CountsFieldsNotEscapedBraces) { EXPECT_EQ(format("{{}} {} {:>3}", 1, 2), "{} 1   2"); }

TEST(Error, KeepsTheChainOutermostFirstAndHintsOnce) {
  Error e(ErrorKind::NotFound, "open {}", "a.deb");
  e.add_context("unpack bash").add_cause("No such file or directory (ENOENT)");
  e.add_hint("run `slipway lock`").add_hint("run `slipway lock`");
  EXPECT_EQ(e.joined(), "unpack bash: open a.deb: No such file or directory (ENOENT)");
  EXPECT_EQ(e.hints().size(), 1U);
  EXPECT_EQ(name_of(e.kind()), "not-found");
}

TEST(Error, WithContextAddsAFrameOnlyWhenSomethingIsThrown) {
  int described = 0;
  const auto describe = [&] {
    ++described;
    return std::string("outer");
  };
  EXPECT_EQ(with_context(describe, [] { return 7; }), 7);
  EXPECT_EQ(described, 0);
  try {
    with_context(describe, []() -> int { throw Error(ErrorKind::Invalid, "inner"); });
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(e.joined(), "outer: inner");
  }
}

TEST(Digest, ParsesBothFormsAndNothingElse) {
  const std::string hex(64, 'a');
  EXPECT_EQ(Digest::parse(hex)->text(), "sha256:" + hex);
  EXPECT_EQ(Digest::parse("sha256:" + hex)->hex(), hex);
  EXPECT_FALSE(Digest::parse(std::string(64, 'A')));
  EXPECT_FALSE(Digest::parse(hex.substr(1)));
  EXPECT_FALSE(Digest::parse("sha512:" + hex));
  EXPECT_THROW(Digest::from("x"), Error);
}

TEST(Suggest, FindsTheNearestWordOnly) {
  const std::vector<std::string> known = {"requirements", "resources", "run", "apt"};
  EXPECT_EQ(nearest("requirments", known), "requirements");
  EXPECT_EQ(nearest("atp", known), "apt");
  EXPECT_EQ(nearest("kubernetes", known), std::nullopt);
  EXPECT_EQ(edit_distance("", "abc"), 3U);
  EXPECT_EQ(edit_distance("ab", "ba"), 1U);
}

TEST(Text, TheFirstByteThatIsNoText) {
  EXPECT_FALSE(first_non_text("a\tb\r\n\xc3\xa9"));
  for (const char* bad : {"a\n\xc3\xa9\x1b", "a\n\xc3\xa9\xff", "a\n\xc3\xa9\v", "a\n\xc3\xa9\x7f"}) {
    const auto at = first_non_text(bad);
    ASSERT_TRUE(at);
    EXPECT_EQ(at->line, 2U);
    EXPECT_EQ(at->column, 3U);
  }
}

TEST(Text, SplitsTrimsAndShowsForeignBytes) {
  EXPECT_EQ(split("a,,b", ',').size(), 3U);
  EXPECT_EQ(split("", ',').size(), 1U);
  EXPECT_EQ(split_words("  a\tb \n").size(), 2U);
  EXPECT_EQ(trim(" \tx y\r\n"), "x y");
  EXPECT_EQ(printable("ok\x1b[0m\xff\xc3\xa9"), "ok\\x1b[0m\\xff\xc3\xa9");
  EXPECT_EQ(printable("\xed\xa0\x80"), "\\xed\\xa0\\x80");
  EXPECT_EQ(printable("\xc2\x9b[2J\xc2\xa0"), "\\xc2\\x9b[2J\xc2\xa0") << "a control sequence in one character";
  EXPECT_EQ(human_size(999), "999 B");
  EXPECT_EQ(human_size(999'999), "1.0 MB");
  EXPECT_EQ(human_size(511'733'572), "511.7 MB");
  EXPECT_EQ(human_seconds(0.0451), "45ms");
  EXPECT_EQ(human_seconds(123.4), "2m 03s");
}

TEST(Parallel, RunsEachIndexOnceAndPassesTheFirstExceptionOn) {
  std::vector<std::atomic<int>> seen(100);
  parallel_for(seen.size(), 4, [&](std::size_t i) { ++seen[i]; });
  for (const auto& n : seen) {
    EXPECT_EQ(n, 1);
  }
  EXPECT_THROW(parallel_for(10, 3,
                            [](std::size_t i) {
                              if (i == 4) {
                                throw std::runtime_error("four");
                              }
                            }),
               std::runtime_error);
  parallel_for(0, 3, [](std::size_t) { FAIL(); });
}

}  // namespace
}  // namespace slip
