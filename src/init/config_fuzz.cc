// Whatever bytes a services.json holds: parsed or refused with a place, within the limits.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "init/config.h"

using namespace slip::init;  // NOLINT(google-build-using-namespace): one function

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto config = std::make_unique<Config>();
  *config = Config();
  Failure failure;
  const auto lookup = [](const char* name) -> const char* { return name[0] == 'A' ? "value" : nullptr; };
  const bool ok = parse_config({reinterpret_cast<const char*>(data), size}, lookup, *config, failure);
  if (config->count > kMaxServices || ok == (failure.reason[0] != '\0')) {
    std::abort();
  }
  for (unsigned i = 0; ok && i < config->count; ++i) {
    const Service& service = config->services[i];
    if (service.name == nullptr || service.argc == 0 || service.argv[service.argc] != nullptr) {
      std::abort();
    }
  }
  return 0;
}
