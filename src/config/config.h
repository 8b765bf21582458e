#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "os/file.h"

namespace slip::config {

/// One setting with where its value came from, for `slipway config`.
struct Setting {
  std::string key;     ///< "sources.debian", "http.ca_file", …
  std::string value;   ///< as it would stand in config.toml; secrets redacted
  std::string origin;  ///< "/etc/slipway/config.toml:4", "environment UV_INDEX_URL", "apt (/etc/apt/…)", "default"
  std::string doc;     ///< one line
};

/// Where the site's mirrors and indexes are. The lock knows only the alias.
struct Sources {
  /// Debian aliases → base URLs without a trailing "/", tried in order: "debian", "debian-security",
  /// and any the user adds ("debian-archive").
  std::map<std::string, std::vector<std::string>> debian;
  /// Python aliases → simple-index URLs (PEP 503/691): "pypi".
  std::map<std::string, std::vector<std::string>> python;
};

/// All settings of this host. Order of precedence, strongest first: SLIPWAY_* environment, the person's
/// config.toml, /etc/slipway/config.toml, the environment and configuration of apt, pip and uv, then what
/// Debian's own packages carry.
struct Config {
  os::HostDirs dirs;
  Sources sources;
  std::string ca_file;            ///< empty: as curl finds it
  unsigned http_parallel = 16;
  unsigned jobs = 0;              ///< 0: one per core
  std::uint32_t root_host_id = 0; ///< host uid and gid that root's sandboxes and workspaces run as
  std::vector<Setting> settings;  ///< every setting in a fixed order
};

/// Reads configuration. Missing sources are not an error here: see require_*.
/// @throws Error Invalid with file:line:column for a malformed config.toml (unknown keys: with a suggestion)
Config load();

/// Base URLs of an alias. @throws Error NotFound with the config line to write when the host names none
const std::vector<std::string>& require_debian(const Config& config, const std::string& alias);
const std::vector<std::string>& require_python(const Config& config, const std::string& alias);

}  // namespace slip::config
