#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config.h"

/// What the host's own tools say about mirrors, indexes, proxies and CAs. One function per tool; nothing here throws
/// for odd input: another program's file that we do not understand counts as saying nothing.
namespace slip::config {

/// A value and where it is from ("apt (/etc/apt/sources.list)").
struct Found {
  std::vector<std::string> values;
  std::string origin;
};

/// A file below host.root; nullopt when it is missing, unreadable or over 4 MiB.
std::optional<std::string> host_file(const Host& host, const std::filesystem::path& path);
/// Names in a folder below host.root, sorted.
std::vector<std::string> host_list(const Host& host, const std::filesystem::path& folder);
bool host_has(const Host& host, const std::filesystem::path& path);
/// An environment variable, "" when unset.
std::string host_env(const Host& host, const std::string& name);
/// Without trailing slashes.
std::string normal_url(std::string_view url);
bool is_web_url(std::string_view url);

/// Base URLs by alias in the source entries of one file, deb822 (*.sources) or one-line.
/// Only Debian's own archives count: suites, components, Signed-By and, where apt has it, the InRelease file tell.
/// @source sources.list(5)
std::map<std::string, std::vector<std::string>> parse_apt_sources(const Host& host, std::string_view text, bool deb822);
/// By alias: /etc/apt/sources.list and sources.list.d.
std::map<std::string, Found> apt_sources(const Host& host);
/// The flat key → value view of apt's configuration; keys in lower case, the last value wins.
/// @source apt.conf(5)
std::map<std::string, std::string> parse_apt_conf(std::string_view text);

struct AptNetwork {
  Found http_proxy;
  Found https_proxy;
  Found no_proxy;  ///< hosts that apt reaches directly
  Found ca_file;
};
AptNetwork apt_network(const Host& host);

/// Python indexes that one source names.
struct Indexes {
  Found chosen;  ///< at most one: the default index
  Found extra;   ///< additional ones; they do not replace the default
};
/// Settings of pip that matter here, from its environment and files.
struct PipSettings {
  Indexes indexes;
  Found cert;
  Found proxy;
};
PipSettings pip_environment(const Host& host);
PipSettings pip_files(const Host& host);
Indexes uv_environment(const Host& host);
Indexes uv_files(const Host& host);

/// Debian's mirror in the data of python-apt-common, or in apt's example; by alias.
std::map<std::string, Found> packaged_debian(const Host& host);
/// The index that an installed pip asks when nobody tells it otherwise.
Found packaged_index(const Host& host);
/// The simple index in the source of pip/_internal/models/index.py; "" when there is none.
std::string index_in_pip_source(std::string_view source);
/// One entry of a zip archive held in memory, at most 1 MiB; nullopt when missing or malformed.
std::optional<std::string> zip_entry(std::string_view zip, std::string_view name);

/// Everything above, the strongest source for each setting. Keys as in config.toml: "sources.pypi", "http.ca_file".
std::map<std::string, Found> discover(const Host& host);

}  // namespace slip::config
