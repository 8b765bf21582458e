#include "registry/envelope.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "codec/base64.h"
#include "codec/sha256.h"
#include "core/error.h"
#include "os/process.h"

namespace slip::registry {
namespace {

std::string openssl(std::vector<std::string> words, std::string input = {}) {
  os::Command command;
  command.argv = std::move(words);
  command.argv.insert(command.argv.begin(), "openssl");
  command.input = std::move(input);
  return os::run_checked(command);
}
std::string new_key() { return openssl({"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"}); }
PrivateKey key_of(const std::string& pem) {
  return PrivateKey::parse(pem, "test.key", [] { return std::string(); });
}

TEST(Envelope, OnlyTheKeysOwnBundleCounts) {
  const PrivateKey mine = key_of(new_key());
  const PrivateKey other = key_of(new_key());
  const Digest image = codec::sha256("image");
  const std::string bundle = make_bundle(mine, image);
  EXPECT_EQ(image, image_of_bundle(bundle, mine.public_key()));
  EXPECT_FALSE(image_of_bundle(bundle, other.public_key()));
  // The payload exchanged for one about another image, under the old signature.
  const std::string about_other = make_bundle(mine, codec::sha256("other"));
  const auto payload = [](const std::string& text) {
    const std::size_t begin = text.find("\"payload\":\"") + 11;
    return text.substr(begin, text.find('"', begin) - begin);
  };
  std::string swapped = bundle;
  swapped.replace(swapped.find(payload(bundle)), payload(bundle).size(), payload(about_other));
  EXPECT_FALSE(image_of_bundle(swapped, mine.public_key()));
}

TEST(Envelope, SimplePayload) {
  const Digest image = codec::sha256("image");
  EXPECT_EQ(image, image_of_payload(simple_payload("r.example/team/app", image)));
  EXPECT_FALSE(image_of_payload("{}"));
  EXPECT_FALSE(image_of_payload("no JSON"));
  EXPECT_FALSE(image_of_payload(R"({"critical":{"type":"another","image":{"docker-manifest-digest":"sha256:00"}}})"));
}

TEST(Envelope, PreAuthenticationIsThatOfTheSpecification) {
  // The example of DSSE's protocol.md.
  EXPECT_EQ("DSSEv1 29 http://example.com/HelloWorld 11 hello world",
            pre_authentication("http://example.com/HelloWorld", "hello world"));
}

TEST(Keys, OthersAreRefused) {
  EXPECT_THROW(PublicKey::parse("no key", "x"), Error);
  EXPECT_THROW(key_of("no key"), Error);
  EXPECT_THROW(key_of(openssl({"genpkey", "-algorithm", "ED25519"})), Error);
  EXPECT_THROW(key_of(openssl({"genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384"})), Error);
}

TEST(Keys, SignaturesAreThoseOfOpenssl) {
  const PrivateKey key = key_of(new_key());
  const std::string signature = key.sign("hello");
  EXPECT_TRUE(key.public_key().verify("hello", signature));
  EXPECT_FALSE(key.public_key().verify("hello!", signature));
  EXPECT_FALSE(key.public_key().verify("hello", signature.substr(1)));
  EXPECT_FALSE(key.public_key().verify("hello", ""));
}

TEST(Keys, EncryptedOnesNeedTheirPassword) {
  const std::string pem = openssl({"pkey", "-aes256", "-passout", "pass:word"}, new_key());
  EXPECT_NO_THROW(PrivateKey::parse(pem, "k", [] { return std::string("word"); }));
  EXPECT_THROW(PrivateKey::parse(pem, "k", [] { return std::string("other"); }), Error);
}

}  // namespace
}  // namespace slip::registry
