#include "config/policy.h"

#include <algorithm>

#include "config/settings.h"

namespace slip::config {

bool allows_mounts(const Config& config, const std::string& host) {
  const std::string key = std::string(kRegistriesPrefix) + host + ".allow_mounts";
  const auto found = std::ranges::find_if(config.settings, [&](const Setting& setting) { return setting.key == key; });
  return found != config.settings.end() && found->value == "true";
}

}  // namespace slip::config
