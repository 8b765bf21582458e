#include "config/discover.h"

#include <algorithm>

#include "core/error.h"
#include "core/text.h"

namespace slip::config {
namespace {

std::filesystem::path below(const Host& host, const std::filesystem::path& path) {
  return host.root / path.relative_path();
}

/// The first of these that says anything.
Found first_of(std::vector<Found> candidates) {
  for (Found& one : candidates) {
    if (!one.values.empty()) {
      return std::move(one);
    }
  }
  return {};
}

/// A proxy that the environment names is left to curl, which knows no_proxy and the rest of its rules.
bool environment_has_proxy(const Host& host, const std::string& scheme) {
  for (const std::string& name :
       {scheme + "_proxy", std::string("HTTPS_PROXY"), std::string("all_proxy"), std::string("ALL_PROXY")}) {
    if ((name != "HTTPS_PROXY" || scheme == "https") && !host_env(host, name).empty()) {
      return true;
    }
  }
  return false;
}

Found existing(const Host& host, Found found) {
  return !found.values.empty() && host_has(host, found.values.front()) ? std::move(found) : Found{};
}

Found environment_ca(const Host& host) {
  for (const char* name : {"SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}) {
    if (const std::string value = host_env(host, name); !value.empty()) {
      return {{value}, format("environment {}", name)};
    }
  }
  return {};
}

void discover_network(const Host& host, const PipSettings& env, const PipSettings& files,
                      std::map<std::string, Found>& found) {
  AptNetwork apt = apt_network(host);
  found["http.ca_file"] = first_of(
      {environment_ca(host), existing(host, env.cert), existing(host, files.cert), existing(host, apt.ca_file)});
  if (!environment_has_proxy(host, "http")) {
    found["http.http_proxy"] = apt.http_proxy;
  }
  if (!environment_has_proxy(host, "https")) {
    found["http.https_proxy"] = first_of({env.proxy, files.proxy, apt.https_proxy});
  }
  if (host_env(host, "no_proxy").empty() && host_env(host, "NO_PROXY").empty()) {
    found["http.no_proxy"] = apt.no_proxy;
  }
}

}  // namespace

std::optional<std::string> host_file(const Host& host, const std::filesystem::path& path) {
  constexpr std::uint64_t kMost = 4U << 20;
  std::error_code ignored;
  const std::filesystem::path file = below(host, path);
  if (!std::filesystem::is_regular_file(file, ignored)) {
    return std::nullopt;
  }
  try {
    return os::read_file_if_any(file, kMost);
  } catch (const Error&) {
    return std::nullopt;
  }
}

std::vector<std::string> host_list(const Host& host, const std::filesystem::path& folder) {
  std::vector<std::string> names;
  std::error_code error;
  for (std::filesystem::directory_iterator it(below(host, folder), error), end; !error && it != end;
       it.increment(error)) {
    names.push_back(it->path().filename().string());
  }
  std::sort(names.begin(), names.end());
  return names;
}

bool host_has(const Host& host, const std::filesystem::path& path) {
  std::error_code ignored;
  return std::filesystem::exists(below(host, path), ignored);
}

std::string host_env(const Host& host, const std::string& name) {
  const auto found = host.env.find(name);
  return found == host.env.end() ? std::string() : found->second;
}

std::string normal_url(std::string_view url) {
  while (!url.empty() && url.back() == '/') {
    url.remove_suffix(1);
  }
  return std::string(url);
}

bool is_web_url(std::string_view url) {
  const std::string scheme = to_lower(url.substr(0, url.find("://")));
  return (scheme == "http" || scheme == "https") && url.size() > scheme.size() + 3 &&
         url.find_first_of(" \t\r\n\"'<>") == std::string_view::npos;
}

std::map<std::string, Found> discover(const Host& host) {
  std::map<std::string, Found> found;
  for (auto& [alias, one] : packaged_debian(host)) {
    found["sources." + alias] = std::move(one);
  }
  for (auto& [alias, one] : apt_sources(host)) {
    found["sources." + alias] = std::move(one);
  }
  const PipSettings pip_env = pip_environment(host);
  const PipSettings pip = pip_files(host);
  const Indexes uv_env = uv_environment(host);
  const Indexes uv = uv_files(host);
  Found index = first_of({uv_env.chosen, pip_env.indexes.chosen, uv.chosen, pip.indexes.chosen, packaged_index(host)});
  const Found extra = first_of({uv_env.extra, pip_env.indexes.extra, uv.extra, pip.indexes.extra});
  if (!index.values.empty()) {
    for (const std::string& url : extra.values) {
      if (std::find(index.values.begin(), index.values.end(), url) == index.values.end()) {
        index.values.push_back(url);
      }
    }
    found["sources.pypi"] = std::move(index);
  }
  discover_network(host, pip_env, pip, found);
  return found;
}

}  // namespace slip::config
