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
  /// and any the user adds whose name starts with "debian" ("debian-archive").
  std::map<std::string, std::vector<std::string>> debian;
  /// Python aliases → simple-index URLs (PEP 503/691) without a trailing "/": "pypi", and all other names.
  /// The first is the default index, the rest are additional ones, as with pip's extra-index-url.
  std::map<std::string, std::vector<std::string>> python;
};

/// How one registry is reached, and whose images from it are taken.
struct Registry {
  bool plain_http = false;                ///< http:// although it is not on this machine
  std::string ca_file;                    ///< PEM bundle of the CAs to trust beside the system's
  std::string cert_file;                  ///< PEM certificate we show
  std::string key_file;                   ///< its private key
  std::vector<std::string> trusted_keys;  ///< PEM files of public keys; a signature of one of them counts
  bool require_signature = false;         ///< refuse what none of trusted_keys has signed
  bool allow_mounts = false;              ///< its images may have folders of this machine mounted that they name
};

/// All settings of this host. Order of precedence, strongest first: SLIPWAY_* environment, the person's
/// config.toml, /etc/slipway/config.toml, the environment and configuration of apt, pip and uv, then what
/// Debian's own packages carry.
struct Config {
  os::HostDirs dirs;
  Sources sources;
  std::string ca_file;      ///< PEM bundle for http::Options; empty: the system's
  std::string http_proxy;   ///< for http::Options; empty where curl finds one in the environment itself
  std::string https_proxy;  ///< the same for https:// URLs
  std::string no_proxy;     ///< hosts reached directly, comma-separated
  std::map<std::string, Registry> registries;  ///< by host, with its port where it has one
  unsigned http_parallel = 16;
  unsigned jobs = 0;               ///< 0: one per core
  std::uint32_t root_host_id = 0;  ///< host uid and gid that root's sandboxes and workspaces run as
  std::vector<Setting> settings;   ///< every setting in a fixed order
};

/// Host uid and gid of root's sandboxes where config.toml names none. Above the ids that SSSD hands out (to
/// 2,000,200,000), above systemd's container range (to 1,879,048,191) and login.defs' sub-ids (to 600,100,000), below
/// systemd's range for foreign images (from 2,147,352,576), and positive as a signed 32-bit number.
constexpr std::uint32_t kRootHostId = 2'100'000'000;
/// The same inside a container that maps only 65,536 ids: in the range that Debian reserves (policy 9.2.2).
constexpr std::uint32_t kSmallRootHostId = 65'432;

/// The machine as configuration sees it; tests make one up.
struct Host {
  std::filesystem::path root = "/";        ///< /etc, /usr and homes are looked up below it
  std::map<std::string, std::string> env;  ///< the whole environment
  os::HostDirs dirs;                       ///< absolute, not below root
};
/// This machine, this process's environment.
Host this_host();

/// Reads configuration. Missing sources are not an error here: see require_*.
/// @throws Error Invalid with file:line:column for a malformed config.toml (unknown keys: with a suggestion);
///         Conflict when the default root_host_id is somebody's
Config load();
Config load(const Host& host);

/// What the host names without slipway's own settings, as the text of a config.toml: written once at installation
/// (`slipway config --discover`), so that later changes of apt, pip and uv change nothing. URLs with credentials stay
/// out of it, as comments that say where they are read from.
std::string discover_toml(const Host& host);

/// Base URLs of an alias. @throws Error NotFound with the config line to write when the host names none
const std::vector<std::string>& require_debian(const Config& config, const std::string& alias);
const std::vector<std::string>& require_python(const Config& config, const std::string& alias);

}  // namespace slip::config
