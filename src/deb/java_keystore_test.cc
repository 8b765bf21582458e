#include "deb/java_keystore.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "core/error.h"
#include "os/file.h"
#include "os/process.h"

namespace slip::deb {
namespace {

using testing::HasSubstr;

/// A key store that Java's own tool wrote: two certificates, put in one after the other.
class JavaKeystore : public testing::Test {
 protected:
  void SetUp() override {
    try {
      run({"keytool", "-help"});
    } catch (const Error&) {
      GTEST_SKIP() << "keytool is not installed";
    }
    make("zebra");
    make("ant");
    import("zebra", "first.jks");
    import("ant", "first.jks");
    import("ant", "second.jks");
    import("zebra", "second.jks");
  }

  std::string run(std::vector<std::string> argv) {
    os::Command command;
    command.argv = std::move(argv);
    command.cwd = dir_.path();
    return os::run_checked(command);
  }
  void make(const std::string& name) {
    run({"keytool", "-genkeypair", "-keyalg", "EC", "-alias", name, "-dname", "CN=" + name, "-keystore", name + ".p12",
         "-storepass", "changeit", "-storetype", "PKCS12"});
    run({"keytool", "-exportcert", "-alias", name, "-keystore", name + ".p12", "-storepass", "changeit", "-file",
         name + ".crt"});
  }
  void import(const std::string& name, const std::string& store) {
    run({"keytool", "-importcert", "-noprompt", "-alias", name, "-file", name + ".crt", "-keystore", store,
         "-storetype", "JKS", "-storepass", "changeit"});
  }
  std::string read(const std::string& name) { return os::read_file(dir_.path() / name); }

  os::TempDir dir_{std::filesystem::temp_directory_path(), "slipway-test-"};
};

std::string said(std::string_view bytes) {
  try {
    normalised_keystore(bytes, "cacerts");
  } catch (const Error& error) {
    return error.joined();
  }
  return "accepted";
}

TEST_F(JavaKeystore, SameBytesWhateverOrderAndTime) {
  EXPECT_NE(read("first.jks"), read("second.jks"));
  EXPECT_EQ(normalised_keystore(read("first.jks"), "cacerts"), normalised_keystore(read("second.jks"), "cacerts"));
}

TEST_F(JavaKeystore, KeytoolReadsIt) {
  os::write_file(dir_.path() / "ours.jks", normalised_keystore(read("first.jks"), "cacerts"));
  const std::string listed = run({"keytool", "-list", "-keystore", "ours.jks", "-storepass", "changeit"});
  EXPECT_THAT(listed, HasSubstr("contains 2 entries"));
  EXPECT_THAT(listed, HasSubstr("1970"));
  run({"keytool", "-exportcert", "-alias", "ant", "-keystore", "ours.jks", "-storepass", "changeit", "-file",
       "out.crt"});
  EXPECT_EQ(read("out.crt"), read("ant.crt"));
}

TEST_F(JavaKeystore, RefusesWhatItDoesNotKnow) {
  const std::string good = read("first.jks");
  EXPECT_THAT(said(read("ant.p12")), HasSubstr("is not in the format JKS 2"));
  std::string damaged = good;
  damaged[30] = static_cast<char>(damaged[30] ^ 1);
  EXPECT_THAT(said(damaged), HasSubstr("is damaged"));
  EXPECT_THAT(said(good.substr(0, good.size() / 2)), HasSubstr("is damaged"));
  EXPECT_THAT(said("short"), HasSubstr("cut short"));
}

}  // namespace
}  // namespace slip::deb
