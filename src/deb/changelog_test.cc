#include "deb/changelog.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace slip::deb {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr const char* kText =
    "openssl (3.0.18-1~deb12u2) bookworm-security; urgency=medium\n\n"
    "  * CVE-2025-15467 (Stack overflow), CVE-2025-1: no id\n"
    "  * Also fixes CVE-2025-68160/CVE-2025-69418.\n\n -- Somebody <s@example.org>  Tue, 27 Jan 2026 00:00:00 +0000\n\n"
    "openssl (3.0.18-1~deb12u1) bookworm; urgency=medium\n\n  * CVE-2025-9230\n\n -- S <s@example.org>  Wed, 01 Oct "
    "2025 00:00:00 +0000\n\n"
    "openssl (3.0.17-1~deb12u2) bookworm-security; urgency=medium\n\n  * CVE-2024-0001\n";

TEST(Changelog, IdsOfTheEntriesThatAreNewer) {
  EXPECT_THAT(cves_since(kText, "3.0.17-1~deb12u2"),
              ElementsAre("CVE-2025-15467", "CVE-2025-68160", "CVE-2025-69418", "CVE-2025-9230"));
  EXPECT_THAT(cves_since(kText, "3.0.18-1~deb12u1"), ElementsAre("CVE-2025-15467", "CVE-2025-68160", "CVE-2025-69418"));
  EXPECT_THAT(cves_since(kText, "3.0.18-1~deb12u2"), IsEmpty());
}

TEST(Changelog, WhatIsNoChangelogNamesNone) {
  EXPECT_THAT(cves_since("", "1"), IsEmpty());
  EXPECT_THAT(cves_since("CVE-2025-9230", "1"), IsEmpty());
  EXPECT_THAT(cves_since("x (2) y; z\n CVE-12345-6789 CVE-2025- CVE-2025-12345678901 CVE-", "1"), IsEmpty());
}

}  // namespace
}  // namespace slip::deb
