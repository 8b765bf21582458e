#include "codec/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "codec/testing.h"

namespace slip::codec {
namespace {

using testing::HasSubstr;

std::string refusal(std::string_view text, const JsonLimits& limits = {}) {
  return message(ErrorKind::Invalid, [&] { (void)parse_json(text, "doc.json", limits); });
}

TEST(Json, FaultsHaveTheirPlace) {
  EXPECT_EQ(refusal("{\n  \"a\": 1,\n  \"b\": x\n}"), "doc.json:3:8: not valid JSON");
  EXPECT_EQ(refusal(""), "doc.json:1:1: not valid JSON");
  EXPECT_EQ(refusal("{} {}"), "doc.json:1:4: not valid JSON");
  EXPECT_THAT(refusal("[\"\xff\"]"), HasSubstr("not valid JSON"));
  EXPECT_THAT(refusal("[1e999]"), HasSubstr("doc.json: it holds a number that is too large"));
}

TEST(Json, LimitsHoldBeforeAnythingIsBuilt) {
  EXPECT_EQ(refusal(std::string(100000, '[')), "doc.json:1:65: nested more than 64 deep");
  EXPECT_EQ(refusal("[[[", {100, 2}), "doc.json:1:3: nested more than 2 deep");
  EXPECT_THAT(refusal("[1234567890]", {10, 2}), HasSubstr("12 bytes are more than the 10 that are allowed"));
  EXPECT_EQ(parse_json("[\"[[[[\\\"[\"]", "doc.json", {100, 1}).size(), 1U) << "brackets in texts do not nest";
}

TEST(Json, CanonicalTextKeepsOrderAndBytes) {
  const std::string text = "{\"z\":[1,-2,true,null],\"a\":\"\xc3\xa9\\n\"}";
  EXPECT_EQ(dump_canonical(parse_json(" " + text + "\n", "doc.json")), text);
  EXPECT_EQ(message(ErrorKind::Internal, [] { dump_canonical(parse_json("[[1.5]]", "doc.json")); }),
            "a digested document must not hold the floating-point number 1.5");
  EXPECT_THAT(message(ErrorKind::Internal, [] { dump_canonical(Json("\xff")); }),
              HasSubstr("write a digested document"));
}

}  // namespace
}  // namespace slip::codec
