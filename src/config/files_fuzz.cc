#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "config/discover.h"
#include "config/toml_file.h"
#include "core/bytes.h"
#include "core/error.h"

namespace {

using namespace slip;
using namespace slip::config;

/// Our own file: read, or refused with its place.
void own(std::string_view text) {
  try {
    for (const auto& [key, setting] : parse_config(text, "config.toml")) {
      if (!setting.origin.starts_with("config.toml:")) {
        __builtin_trap();
      }
    }
  } catch (const Error& e) {
    const std::string message = e.joined();
    if (e.kind() != ErrorKind::Invalid || !message.starts_with("config.toml:") ||
        std::any_of(message.begin(), message.end(), [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
      __builtin_trap();
    }
  }
}

/// Files of other programs: never an error, and only web addresses come out.
void others(std::string_view text) {
  static const Host host{"/nonexistent", {}, {}};
  for (const bool deb822 : {true, false}) {
    for (const auto& [alias, urls] : parse_apt_sources(host, text, deb822)) {
      if (!alias.starts_with("debian") || urls.empty() || !std::all_of(urls.begin(), urls.end(), is_web_url)) {
        __builtin_trap();
      }
    }
  }
  (void)parse_apt_conf(text);
  (void)parse_uv_toml(text);
  (void)index_in_pip_source(text);
  (void)zip_entry(text, "pip/_internal/models/index.py");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text = as_text({data, size});
  own(text);
  others(text);
  // A text we quote is read back.
  if (const std::string line = "store = " + toml_string(text); text.find('\0') == std::string_view::npos) {
    try {
      const auto read = parse_config(line, "config.toml");
      if (read.at("store").values.at(0) != text) {
        __builtin_trap();
      }
    } catch (const Error&) {
      // Bytes that are no UTF-8, or a path that is none.
    }
  }
  return 0;
}
