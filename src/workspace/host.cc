#include "workspace/host.h"

#include "core/text.h"

namespace slip::workspace {
namespace {

std::string environment(const char* lower, const char* upper) {
  for (const char* name : {lower, upper}) {
    const char* value = std::getenv(name);
    if (value != nullptr && *value != '\0') {
      return value;
    }
  }
  return {};
}

}  // namespace

HostFiles host_files(const config::Config& config, const std::filesystem::path& home) {
  HostFiles files;
  files.home = home;
  files.ca_file = config.ca_file;
  const auto pypi = config.sources.python.find("pypi");
  if (pypi != config.sources.python.end()) {
    files.index = pypi->second;
  }
  return files;
}

std::string loopback_source(std::string_view url) {
  const std::size_t scheme = url.find("://");
  if (scheme == std::string_view::npos) {
    return {};
  }
  const bool secure = url.starts_with("https:");
  std::string_view authority = url.substr(scheme + 3);
  authority = authority.substr(0, authority.find('/'));
  authority = authority.substr(authority.rfind('@') + 1);  // npos + 1 is 0
  const std::size_t colon = authority.rfind(':');
  const bool port = colon != std::string_view::npos && authority.find(']', colon) == std::string_view::npos;
  std::string host(port ? authority.substr(0, colon) : authority);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  }
  if (host != "localhost" && host != "::1" && !host.starts_with("127.")) {
    return {};
  }
  return host + ":" + (port ? std::string(authority.substr(colon + 1)) : secure ? "443" : "80");
}

launch::Outbound outbound_of(const config::Config& config) {
  launch::Outbound out;
  out.proxy = !config.http_proxy.empty() ? config.http_proxy : config.https_proxy;
  if (out.proxy.empty()) {
    out.proxy = environment("https_proxy", "HTTPS_PROXY");
  }
  if (out.proxy.empty()) {
    out.proxy = environment("http_proxy", "HTTP_PROXY");
  }
  const std::string direct = !config.no_proxy.empty() ? config.no_proxy : environment("no_proxy", "NO_PROXY");
  for (const std::string_view host : split(direct, ',')) {
    if (!trim(host).empty()) {
      out.no_proxy.emplace_back(trim(host));
    }
  }
  for (const auto& [alias, urls] : config.sources.python) {
    for (const std::string& url : urls) {
      if (std::string source = loopback_source(url); !source.empty()) {
        out.loopback.push_back(std::move(source));
      }
    }
  }
  return out;
}

}  // namespace slip::workspace
