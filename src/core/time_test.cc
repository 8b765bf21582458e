#include "core/time.h"

#include <gtest/gtest.h>

#include "core/error.h"

namespace slip {
namespace {

TEST(Time, IsWrittenInUtc) {
  EXPECT_EQ(rfc3339(0), "1970-01-01T00:00:00Z");
  EXPECT_EQ(rfc3339(1652659200), "2022-05-16T00:00:00Z");
  EXPECT_EQ(rfc3339(1754730990), "2025-08-09T09:16:30Z");
}

TEST(Time, IsReadWithFractionAndOffset) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:00Z"), 0);
  EXPECT_EQ(parse_rfc3339("2025-08-09T09:16:30.123456Z"), 1754730990);
  EXPECT_EQ(parse_rfc3339("2025-08-09T11:16:30+02:00"), 1754730990);
  EXPECT_EQ(parse_rfc3339("2025-08-09t05:46:30.5-03:30"), 1754730990);
  EXPECT_EQ(parse_rfc3339("2024-02-29T00:00:00Z"), 1709164800);
}

TEST(Time, IsRefusedInAnyOtherShape) {
  for (const char* text :
       {"", "2024-06-01", "2024-06-01T12:00:00", "2024-06-31T12:00:00Z", "2023-02-29T00:00:00Z", "2024-06-01 12:00:00Z",
        "2024-06-01T24:00:00Z", "2024-06-01T12:60:00Z", "2024-06-01T12:00:00.Z", "2024-06-01T12:00:00.5",
        "2024-06-01T12:00:00+2:00", "2024-06-01T12:00:00+24:00", "2024-06-01T12:00:00Zz", "-024-06-01T12:00:00Z",
        "2024-06-01T12:00:00+02x00"}) {
    EXPECT_EQ(parse_rfc3339(text), std::nullopt) << text;
  }
}

TEST(Time, OfALockHasOneSpelling) {
  EXPECT_EQ(epoch_of("1970-01-02T00:00:00Z"), 86400);
  EXPECT_EQ(epoch_of("2026-09-12T09:27:08Z"), 1789205228);
  for (const char* wrong : {"2026-09-12", "2026-02-30T00:00:00Z", " 2026-09-12T09:27:08Z", "2026-9-12T09:27:08Z",
                            "2026-09-12T09:27:60Z", "2026-09-12T09:27:08Zx", "2026-09-12t09:27:08z",
                            "2026-09-12T11:27:08+02:00", "2026-09-12T09:27:08.5Z", "+2026-09-12T09:27:08Z", ""}) {
    EXPECT_THROW(epoch_of(wrong), Error) << wrong;
  }
}

}  // namespace
}  // namespace slip
