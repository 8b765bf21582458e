#pragma once

#include <array>
#include <string>
#include <string_view>

namespace slip::config {

enum class Kind { Path, Count, Text, Urls };

/// A setting of config.toml as users see it.
struct Known {
  std::string_view key;
  std::string_view env;  ///< the environment variable that outranks every file
  Kind kind;
  std::string_view doc;
};

/// Every setting but further sources, in the order `slipway config` shows them; docs/reference/configuration.md
/// repeats it. `sources.NAME` may have any name of a-z, 0-9 and "-".
inline constexpr std::array kSettings = {
    Known{"store", "SLIPWAY_STORE", Kind::Path, "folder of images, packages and unpacked trees"},
    Known{"state", "SLIPWAY_STATE", Kind::Path, "folder of workspaces: tokens, host keys, logs"},
    Known{"jobs", "SLIPWAY_JOBS", Kind::Count, "steps to run at once; 0: one per core"},
    Known{"root_host_id", "SLIPWAY_ROOT_HOST_ID", Kind::Count,
          "uid and gid that root's sandboxes and workspaces run as"},
    Known{"sources.debian", "SLIPWAY_SOURCE_DEBIAN", Kind::Urls, "mirrors of Debian's archive, tried in order"},
    Known{"sources.debian-security", "SLIPWAY_SOURCE_DEBIAN_SECURITY", Kind::Urls,
          "mirrors of Debian's security archive, tried in order"},
    Known{"sources.pypi", "SLIPWAY_SOURCE_PYPI", Kind::Urls, "Python indexes: the default one, then additional ones"},
    Known{"http.ca_file", "SLIPWAY_HTTP_CA_FILE", Kind::Path, "PEM bundle of the CAs to trust; empty: the system's"},
    Known{"http.parallel", "SLIPWAY_HTTP_PARALLEL", Kind::Count, "downloads at once"},
    Known{"http.http_proxy", "SLIPWAY_HTTP_HTTP_PROXY", Kind::Text, "proxy for http:// URLs"},
    Known{"http.https_proxy", "SLIPWAY_HTTP_HTTPS_PROXY", Kind::Text, "proxy for https:// URLs"},
    Known{"http.no_proxy", "SLIPWAY_HTTP_NO_PROXY", Kind::Text, "hosts reached without a proxy, comma-separated"},
};

/// A setting of one registry: `registries."HOST".KEY`.
struct KnownOfRegistry {
  std::string_view key;
  enum class Kind { Path, Flag, Paths } kind;
  std::string_view doc;
};
inline constexpr std::array kRegistrySettings = {
    KnownOfRegistry{"plain_http", KnownOfRegistry::Kind::Flag, "speak http:// to it although it is another machine"},
    KnownOfRegistry{"ca_file", KnownOfRegistry::Kind::Path, "PEM bundle of the CAs to trust beside the system's"},
    KnownOfRegistry{"cert_file", KnownOfRegistry::Kind::Path, "PEM certificate that slipway shows"},
    KnownOfRegistry{"key_file", KnownOfRegistry::Kind::Path, "private key of cert_file"},
    KnownOfRegistry{"trusted_keys", KnownOfRegistry::Kind::Paths, "PEM public keys whose signatures count"},
    KnownOfRegistry{"require_signature", KnownOfRegistry::Kind::Flag, "refuse images that no trusted key signed"},
    KnownOfRegistry{"allow_mounts", KnownOfRegistry::Kind::Flag,
                    "let its images mount the folders of this machine that they name"},
};

constexpr std::string_view kRegistriesPrefix = "registries.";
constexpr std::string_view kSourcePrefix = "sources.";
constexpr std::string_view kSourceEnvPrefix = "SLIPWAY_SOURCE_";

/// True for a name that may stand behind "sources.".
bool is_alias(std::string_view name) noexcept;
/// "sources.debian-security" → "SLIPWAY_SOURCE_DEBIAN_SECURITY".
std::string source_env(std::string_view alias);

}  // namespace slip::config
