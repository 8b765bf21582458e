#include "deb/release.h"

#include <gtest/gtest.h>

#include "core/error.h"
#include "os/file.h"

namespace slip::deb {
namespace {

constexpr const char* kDigest = "c974c29a32187129bcd03242961dcdd1561f12e65c80dcfcb067054824225d80";

TEST(release, suites_of_known_releases) {
  const auto suites = suites_of("bookworm", {"main", "non-free"});
  ASSERT_EQ(suites.size(), 3U);
  EXPECT_EQ(suites[2].alias, "debian-security");
  EXPECT_EQ(suites[2].name, "bookworm-security");
  EXPECT_EQ(suites[0].components, (std::vector<std::string>{"main", "non-free"}));
  try {
    suites_of("bookwrom");
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::NotFound);
    EXPECT_EQ(error.hints().at(0), "did you mean `bookworm`?");
  }
}

TEST(release, dates) {
  EXPECT_EQ(parse_date("Sat, 09 Aug 2025 09:16:30 UTC"), 1754730990);
  for (const char* text :
       {"", "Sat, 09 Aug 2025", "Sat, 09 Foo 2025 09:16:30 UTC", "Sat, 32 Aug 2025 09:16:30 UTC",
        "Sat, 09 Aug 2025 09:16 UTC", "Sat, 09 Aug 2025 09:16:30 CET", "Sat, -9 Aug 2025 09:16:30 UTC"}) {
    EXPECT_EQ(parse_date(text), std::nullopt) << text;
  }
}

TEST(release, list_of_files) {
  const ReleaseFile file =
      parse_release("Codename: x\nDate: Sat, 09 Aug 2025 09:16:30 UTC\nAcquire-By-Hash: yes\nSHA256:\n " +
                        std::string(kDigest) + "  45561367 main/binary-amd64/Packages\n",
                    "Release");
  EXPECT_EQ(file.date, 1754730990);
  EXPECT_FALSE(file.valid_until);
  EXPECT_TRUE(file.by_hash);
  EXPECT_EQ(file.files.at("main/binary-amd64/Packages").sha256.hex(), kDigest);
  EXPECT_EQ(file.files.at("main/binary-amd64/Packages").size, 45561367U);
}

TEST(release, broken_files_are_refused) {
  const std::string date = "Date: Sat, 09 Aug 2025 09:16:30 UTC\n";
  const std::string list = "SHA256:\n " + std::string(kDigest) + " 1 x\n";
  EXPECT_NO_THROW(parse_release(date + list, "Release"));
  for (const std::string& text : {std::string(), date, list, "Date: today\n" + list,
                                  date + "Valid-Until: never\n" + list, date + "SHA256:\n 00 1 x\n",
                                  date + "SHA256:\n " + kDigest + " -1 x\n", date + "SHA256:\n " + kDigest + " 1\n"}) {
    EXPECT_THROW(parse_release(text, "Release"), Error) << text;
  }
}

class Signature : public testing::Test {
 protected:
  void expect_denied(const std::string& text) {
    try {
      verified_cleartext(text, "InRelease", store_);
      FAIL() << "accepted: " << text;
    } catch (const Error& error) {
      if (error.kind() == ErrorKind::NotFound) {
        GTEST_SKIP() << error.joined();
      }
      EXPECT_EQ(error.kind(), ErrorKind::Denied) << error.joined();
    }
  }
  os::TempDir folder_{std::filesystem::temp_directory_path(), "slip-deb-"};
  store::Store store_{folder_.path() / "store"};
};

constexpr const char* kBegin = "-----BEGIN PGP SIGNED MESSAGE-----\nHash: SHA256\n\n";
constexpr const char* kEnd = "-----BEGIN PGP SIGNATURE-----\n\niHUEABYKAB0WIQ==\n=abcd\n-----END PGP SIGNATURE-----\n";

TEST_F(Signature, unsigned_text_is_denied) {
  expect_denied("");
  expect_denied("Date: Sat, 09 Aug 2025 09:16:30 UTC\n");
}
TEST_F(Signature, a_made_up_signature_is_denied) { expect_denied(std::string(kBegin) + "Date: x\n" + kEnd); }
TEST_F(Signature, nothing_may_stand_around_the_message) {
  const std::string message = std::string(kBegin) + "Date: x\n" + kEnd;
  expect_denied("Date: y\n" + message);
  expect_denied(message + "Date: y\n");
  expect_denied(message + message);
}

}  // namespace
}  // namespace slip::deb
