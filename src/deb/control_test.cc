#include "deb/control.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace slip::deb {
namespace {

TEST(control, reads_paragraphs_one_after_another) {
  const std::string text =
      "\nPackage: a\nDescription: short\n long\n .\n more\n\n\n# remark\nPackage:b\nVersion:\t 1 \n";
  ControlReader reader(text, "Packages");
  Paragraph p;
  ASSERT_TRUE(reader.next(p));
  EXPECT_EQ(p.get("package"), "a");
  EXPECT_EQ(p.get("Description"), "short\n long\n .\n more");
  EXPECT_EQ(p.line(), 2U);
  EXPECT_FALSE(p.has("Version"));
  ASSERT_TRUE(reader.next(p));
  EXPECT_EQ(p.get("Package"), "b");
  EXPECT_EQ(p.get("VERSION"), "1 ");
  EXPECT_EQ(p.line(), 10U);
  EXPECT_FALSE(reader.next(p));
}

void expect_error(const std::string& text, const std::string& message, ControlLimits limits = {}) {
  ControlReader reader(text, "F", limits);
  Paragraph p;
  try {
    while (reader.next(p)) {
    }
    FAIL() << "no error for " << text;
  } catch (const Error& error) {
    EXPECT_EQ(error.joined(), message);
    EXPECT_EQ(error.kind(), ErrorKind::Invalid);
  }
}

TEST(control, errors_name_the_line) {
  expect_error("A: 1\nB\n", "F:2: `B` is no field");
  expect_error(" x\n", "F:1: a continuation line without a field before it");
  expect_error("A: 1\n\n: 2\n", "F:3: `: 2` is no field");
  expect_error("A B: 1\n", "F:1: `A B: 1` is no field");
}

TEST(control, limits_hold) {
  expect_error("A: 1\nB: 1\nC: 1\n", "F:3: too many fields in one paragraph", {2, 100, 100});
  expect_error("A: 1\n\nB: 1\n\nC: 1\n", "F:5: too many paragraphs", {2, 100, 2});
  expect_error("A: 0123456789\n", "F:1: the paragraph is longer than 10 B", {2, 10, 2});
}

TEST(control, a_package_has_one_paragraph_without_repetitions) {
  const auto fields = parse_control("Package: a\nmulti-arch: same\n", "control");
  EXPECT_EQ(fields.at("Multi-Arch"), "same");
  EXPECT_THROW(parse_control("", "control"), Error);
  EXPECT_THROW(parse_control("Package: a\nPackage: b\n", "control"), Error);
  EXPECT_THROW(parse_control("Package: a\n\nPackage: b\n", "control"), Error);
}

TEST(dependencies, are_groups_of_alternatives) {
  const Dependencies groups =
      parse_dependencies("libc6 (>= 2.31), python3:any (<< 3.10) | python3.9,\n mawk|gawk ( = 1 ), ");
  ASSERT_EQ(groups.size(), 3U);
  EXPECT_EQ(groups[0][0].text(), "libc6 (>= 2.31)");
  ASSERT_EQ(groups[1].size(), 2U);
  EXPECT_EQ(groups[1][0].arch, "any");
  EXPECT_EQ(groups[1][0].relation, Relation::Earlier);
  EXPECT_EQ(groups[1][1].text(), "python3.9");
  EXPECT_EQ(groups[2][1].text(), "gawk (= 1)");
  EXPECT_TRUE(parse_dependencies("").empty());
}

TEST(dependencies, broken_ones_are_refused) {
  for (const char* text :
       {"a b", "a (1)", "a (>= )", "a (>= 1", "| a", "a |", "a (>> 1, b)", "a [amd64]", "A\x01", "(>= 1)"}) {
    EXPECT_THROW(parse_dependencies(text), Error) << text;
  }
}

}  // namespace
}  // namespace slip::deb
