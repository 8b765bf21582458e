#include <cstdint>
#include <string_view>

#include "registry/envelope.h"

/// Payloads and bundles come from whoever may write to the registry. No bytes but the key's own are vouched for.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace slip::registry;
  static const PublicKey kKey = PublicKey::parse(
      "-----BEGIN PUBLIC KEY-----\n"
      "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEn6Kwygrtg+UsZW1EsmjNVZd+QBKZ\n"
      "seta6cOexZglYlT7DQMDAcspMfZJFrtfhmy8mhzy/xqj/PzVZrGrcV0vgw==\n"
      "-----END PUBLIC KEY-----\n",
      "fuzz");
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (image_of_bundle(text, kKey)) {
    __builtin_trap();  // nobody has the private half
  }
  static_cast<void>(image_of_payload(text));
  return 0;
}
